# SPDX-License-Identifier: Apache-2.0
"""Transition settings of single weight tensors, chosen by name pattern."""

import dataclasses
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gxnor_tf import schedules, step_rules

# What a pattern may set beside the settings of the step rule.
_OWN_KEYS = ("learning_rate_multiplier", "transition_gain")


@dataclasses.dataclass(frozen=True)
class TransitionSettings:
    """How the weights of one variable move.

    Attributes:
        step_rule: Gives the increment.
        learning_rate_multiplier: Factor on the learning rate, >= 0.
        transition_gain: Number or schedule; None is the optimizer's.
    """

    step_rule: step_rules.StepRule
    learning_rate_multiplier: float = 1.0
    transition_gain: schedules.Schedule | None = None


class Overrides:
    """An ordered list of patterns, each with the settings it brings.

    The first pattern that `re.search` finds in a variable's path decides
    alone; settings that it does not name are those of the optimizer.

    Args:
        patterns: Settings by regular expression, in order. Keys of the
            settings: `learning_rate_multiplier` (a number >= 0; 0 keeps the
            weights as they are), `transition_gain` (number or schedule; of
            rules that have one), and the settings of the step rule
            (`beta_1`, ...).
        rule_name: Name of the step rule.
        rule_settings: Its settings where no pattern says otherwise.

    Raises:
        ValueError: If a pattern is no regular expression, a key is unknown or
            not one of the step rule, or a value is out of range.
    """

    def __init__(
        self,
        patterns: Mapping[str, Mapping[str, Any]] | None,
        rule_name: str,
        rule_settings: Mapping[str, float | None],
    ) -> None:
        self._default = TransitionSettings(
            step_rules.get(rule_name, **rule_settings)
        )
        if not isinstance(patterns, (Mapping, type(None))):
            raise ValueError(
                "`overrides` must be a dict of patterns, each with a dict of "
                f"settings. Received: overrides={patterns!r}"
            )
        self._given = {
            pattern: _checked(pattern, settings, rule_settings)
            for pattern, settings in (patterns or {}).items()
        }
        self._settings: list[tuple[re.Pattern[str], TransitionSettings]] = []
        for pattern, given in self._given.items():
            rule = {k: v for k, v in given.items() if k not in _OWN_KEYS}
            own = {k: v for k, v in given.items() if k in _OWN_KEYS}
            try:
                made = step_rules.get(rule_name, **{**rule_settings, **rule})
                step_rules.refuse_gain(rule_name, own.get("transition_gain"))
            except ValueError as error:
                raise ValueError(f"`overrides[{pattern!r}]`: {error}") from None
            self._settings.append(
                (re.compile(pattern), TransitionSettings(made, **own))
            )

    def assign(self, paths: Sequence[str]) -> list[TransitionSettings]:
        """The settings of each of the optimizer's discrete variables.

        Args:
            paths: The paths of all of them.

        Raises:
            ValueError: If a pattern is found in none of the paths.
        """
        for pattern, _ in self._settings:
            if not any(pattern.search(path) for path in paths):
                raise ValueError(
                    f"The pattern {pattern.pattern!r} of `overrides` matches "
                    "no discrete variable. Their paths are: "
                    f"{', '.join(paths) or '(there are none)'}."
                )
        return [
            next(
                (made for pattern, made in self._settings if pattern.search(p)),
                self._default,
            )
            for p in paths
        ]

    def get_config(self) -> dict[str, dict[str, Any]]:
        """The patterns and their settings as JSON-like data."""
        return {
            pattern: {k: schedules.to_config(v) for k, v in given.items()}
            for pattern, given in self._given.items()
        }


def from_config(
    config: Mapping[str, Mapping[str, Any]] | None, custom_objects: Any = None
) -> dict[str, dict[str, Any]]:
    """The `patterns` that `Overrides.get_config()` gave."""
    return {
        pattern: {
            key: schedules.from_config(value, custom_objects)
            for key, value in given.items()
        }
        for pattern, given in (config or {}).items()
    }


def _checked(
    pattern: Any, settings: Any, rule_settings: Mapping[str, Any]
) -> dict[str, Any]:
    name = f"overrides[{pattern!r}]"
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(
            "The keys of `overrides` must be regular expressions. Received: "
            f"{pattern!r} ({error})"
        ) from error
    if not isinstance(settings, Mapping):
        raise ValueError(
            f"`{name}` must be a dict of settings. Received: {settings!r}"
        )
    known = (*_OWN_KEYS, *rule_settings)
    checked = dict(settings)
    for key, value in checked.items():
        if key not in known:
            raise ValueError(
                f"`{name}` may set {', '.join(known)}. Received: "
                f"{key}={value!r}"
            )
        if key == "transition_gain":
            checked[key] = schedules.checked(f"{name}[{key!r}]", value)
        elif isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(
                f"`{name}[{key!r}]` must be a number. Received: {value!r}"
            )
        else:
            checked[key] = float(value)
    multiplier = checked.get("learning_rate_multiplier", 1.0)
    if not (math.isfinite(multiplier) and multiplier >= 0):
        raise ValueError(
            f"`{name}['learning_rate_multiplier']` must be a finite number "
            f">= 0. Received: {multiplier}"
        )
    return checked
