# SPDX-License-Identifier: Apache-2.0
"""What every training program does with its command line."""

import os
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from train import command_line
from train.errors import UserError
from train.stopping import stopping

# The flags are those of the program that calls `main()`.
flags.disclaim_key_flags()


def main(net: str) -> None:
    """Defines the flags, reads them and trains; does not return.

    Args:
        net: Name of the network.
    """
    # From the start: the import of TensorFlow alone takes seconds.
    with stopping(_advice):
        command_line.define_flags(net)
        app.run(lambda argv: run(net, argv))


def run(net: str, argv: Sequence[str]) -> None:
    """Trains a network as the parsed flags ask for.

    Args:
        net: Name of the network.
        argv: What the flags left of the command line; must be the program.
    """
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    values = flags.FLAGS
    # TensorFlow reads this when it is imported. Processors without AVX512_VNNI
    # have it off by default, and are slower so.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        settings = command_line.from_flags(net)
        # TensorFlow takes seconds to import: not for --help or a wrong flag.
        from train import loop

        report = loop.train(
            settings, values.output_dir, values.data_dir, values.resume
        )
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error} {_advice()}".rstrip())
    if not report:
        print("This worker is done; the chief's output has the results.")
        return
    print(
        f"test accuracy {report['test_accuracy']:.2%} (epoch "
        f"{report['best_epoch']}, chosen by its validation loss; validation "
        f"accuracy {report['validation_accuracy']:.2%}); last epoch "
        f"{report['final_test_accuracy']:.2%}\n"
        f"results in {values.output_dir}"
    )


def _advice() -> str:
    """How to go on with a run that did not end, if it has begun."""
    if not flags.FLAGS.is_parsed():
        return ""
    folder = pathlib.Path(flags.FLAGS.output_dir).expanduser()
    if not (folder / "config.json").exists():
        return ""
    return (
        "The same command with --resume continues after the last complete "
        "epoch, and begins anew if there is none."
    )
