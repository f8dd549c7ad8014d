# SPDX-License-Identifier: Apache-2.0
"""The figures of a case: statistics over the runs with its seeds."""

import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.learning.runner import Outcome
from benchmarks.learning.studies import Case
from train.config import Config
from train.recipes import from_recipe

Row = dict[str, Any]

KEYS = """\
keys of the rows (null where a case has none):
  study, group             its headings
  varied, fixed            objects: settings in which it differs from its
                           group, and others that are not the default recipe's
  dataset                  its name, or what a file is known to hold
  net, width, epochs, and every setting that the study varies
  default                  whether it is the default recipe
  seeds, failed            number of runs, and of those that failed
  failure                  why the first of them did
  validation_mean, _std    accuracy of the epoch with the lowest validation
                           loss; std is that of a sample, null for one run
  test_mean, _std          accuracy of the same model
  final_test_mean, _std    accuracy of the last epoch's model
  zero_share_weights, zero_share_activations
                           mean over the layers and runs, of the chosen model
  state_bytes_per_weight   bytes of the training state by discrete weight
  seconds                  of training, mean of a run
  processor, threads, commit
                           what the runs were made on and with (0 threads: as
                           many as processors; commit: of the code)
  python, gxnor_tf, tensorflow, keras, numpy
                           versions"""

# What files hold, by the SHA-256 in a run's report: that of the records as
# they are split, here with a tenth set aside.
_KNOWN_FILES = {
    "64a77247a3ab4704b17aa65f6ff6c014abc5d42e4d2ec562c76c3dd73b624853": (
        "CIFAR-10, JPEG re-encoded"
    ),
}

_ACCURACIES = {
    "validation": "validation_accuracy",
    "test": "test_accuracy",
    "final_test": "final_test_accuracy",
}
_VERSIONS = ("python", "gxnor_tf", "tensorflow", "keras", "numpy")


def all_settings(cases: Iterable[Case]) -> list[str]:
    """Names of all settings that some case sets, in order of appearance."""
    names: dict[str, None] = {}
    for case in cases:
        names |= dict.fromkeys((case.fixed | case.varied).keys())
    return [name for name in names if name != "dataset"]


def row(
    study: str,
    case: Case,
    config: Config,
    outcomes: Sequence[Outcome],
    settings: Sequence[str],
) -> Row:
    """The row of a case.

    Args:
        study: Name of the study.
        case: The case.
        config: Its settings.
        outcomes: One for each seed.
        settings: Names of the settings that get a key.
    """
    failures = [o.failure for o in outcomes if o.failure is not None]
    reports = [o.report for o in outcomes if o.failure is None]
    made: Row = {
        "study": study,
        "group": case.group,
        "varied": case.varied,
        "fixed": {k: v for k, v in case.fixed.items() if k != "dataset"},
        "dataset": _title(config, reports),
        "net": config.net,
        "width": config.width,
        "epochs": config.epochs,
        "default": config == _default(config),
        **{name: getattr(config, name) for name in settings},
        "seeds": len(outcomes),
        "failed": len(failures),
        "failure": failures[0] if failures else None,
    }
    for name, key in _ACCURACIES.items():
        values = [report[key] for report in reports]
        made[f"{name}_mean"] = _mean(values)
        made[f"{name}_std"] = (
            statistics.stdev(values) if len(values) > 1 else None
        )
    for kind in ("weights", "activations"):
        shares = [report["zero_share"][kind].values() for report in reports]
        made[f"zero_share_{kind}"] = _mean(
            [statistics.fmean(share) for share in shares if share]
        )
    for name in ("state_bytes_per_weight", "seconds"):
        made[name] = _mean([report[name] for report in reports])
    machines = [o.machine for o in outcomes if o.failure is None]
    for name in ("processor", "threads", "commit"):
        # The first records have no more than a processor.
        known = [m[name] for m in machines if m.get(name) is not None]
        made[name] = _joined([str(value) for value in known])
    for name in _VERSIONS:
        versions = [report["versions"][name] for report in reports]
        made[name] = _joined(versions)
    return made


def _title(config: Config, reports: Sequence[dict[str, Any]]) -> str:
    """What is printed for the data set."""
    name = pathlib.Path(config.dataset or "").name
    digests = {report["dataset"]["sha256"] for report in reports}
    return _KNOWN_FILES.get(digests.pop(), name) if len(digests) == 1 else name


def _default(config: Config) -> Config:
    """What the default recipe makes of the same net, data and budget."""
    return from_recipe(
        config.net,
        dataset=config.dataset,
        width=config.width,
        epochs=config.epochs,
    )


def in_words(settings: dict[str, Any]) -> str:
    """Settings as in `momentum=0.9, learning_rate=0.01`.

    >>> in_words({"momentum": 0.9, "seed": 1})
    'momentum=0.9, seed=1'
    """
    return ", ".join(f"{name}={shown(v)}" for name, v in settings.items())


def shown(value: object) -> str:
    """A setting's value, a number without zeros that say nothing.

    >>> shown(1e9), shown(1.0), shown("int8")
    ('1e+09', '1', 'int8')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def best(rows: Iterable[Row]) -> Row | None:
    """The row with the best validation accuracy, the first of equals.

    Rows of which a run failed are passed over. Test accuracies play no part.
    """
    whole = [row for row in rows if not row["failed"]]
    return max(whole, key=lambda row: row["validation_mean"], default=None)


def grouped(
    rows: Iterable[Row], *keys: str
) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of keys, in order of appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _joined(names: Sequence[str]) -> str | None:
    """Different names once each; runs may have been made in several places."""
    return ", ".join(dict.fromkeys(names)) or None
