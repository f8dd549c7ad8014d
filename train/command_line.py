# SPDX-License-Identifier: Apache-2.0
"""The flags of a training program, made from the list of settings."""

import dataclasses

from absl import flags

from train import recipes
from train.config import FLOAT, Config, plain_type

# Flags belong to the program that calls `define_flags()`, for its --help.
flags.disclaim_key_flags()


def define_flags(net: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one flag for each setting, and those that say where.

    Args:
        net: Name of the network whose recipes `--recipe` offers.
        flag_values: Where to define them.
    """
    flags.DEFINE_string(
        "output_dir",
        None,
        "folder for the results: config.json, metrics.csv, report.json, "
        "curves.png, model.keras, checkpoint.npz",
        required=True,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "folder for downloaded data. Default: $GXNOR_TF_CACHE, else "
        "$XDG_CACHE_HOME/gxnor_tf, else ~/.cache/gxnor_tf",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "resume",
        False,
        "continue the run in --output_dir after its last complete epoch; "
        "give the same settings again",
        flag_values=flag_values,
    )
    for field in dataclasses.fields(Config):
        if not field.metadata["flag"]:
            continue
        text = field.metadata["text"]
        if field.name != "recipe":
            values = {
                name: recipe.get(field.name, field.default)
                for name, recipe in recipes.RECIPES[net].items()
            }
            values = {k: v for k, v in values.items() if v is not None}
            shown = ", ".join(f"{k}: {_short(v)}" for k, v in values.items())
            text += f" ({shown})" if shown else ""
        choices = field.metadata["choices"]
        # None means "not given": then the recipe decides.
        if choices:
            flags.DEFINE_enum(
                field.name, None, choices, text, flag_values=flag_values
            )
        elif field.metadata["space"]:
            flags.DEFINE(
                SpaceParser(), field.name, None, text, flag_values=flag_values
            )
        else:
            define = {
                bool: flags.DEFINE_bool,
                int: flags.DEFINE_integer,
                float: flags.DEFINE_float,
                str: flags.DEFINE_string,
            }[plain_type(field)]
            define(field.name, None, text, flag_values=flag_values)


def from_flags(net: str, flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """The config that parsed flags ask for: explicit flags beat the recipe.

    Raises:
        UserError: If a setting is out of range.
    """
    given = {
        field.name: flag_values[field.name].value
        for field in dataclasses.fields(Config)
        if field.metadata["flag"] and flag_values[field.name].value is not None
    }
    return recipes.from_recipe(net, **given)


class SpaceParser(flags.ArgumentParser[int | str]):
    """Reads the n of a space, or `float`."""

    syntactic_help = "an integer or `float`"

    def parse(self, argument: str) -> int | str:
        """The integer or the word."""
        if argument == FLOAT:
            return FLOAT
        try:
            return int(argument)
        except ValueError:
            raise ValueError("must be an integer or `float`") from None

    def flag_type(self) -> str:
        """For help texts."""
        return "integer or `float`"


def _short(value: object) -> str:
    """A setting in a help text: a sixth is not spelled out."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
