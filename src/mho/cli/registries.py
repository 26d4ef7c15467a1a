"""What a strategy option accepts: read from where the strategies are registered, so that help and check agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from mho.errors import OptionError, choices

NAMES = "{names}"
"""Where the help of a strategy option names what is accepted."""


def registries() -> Mapping[str, tuple[str, ...]]:
    """Return for each strategy option the names that it accepts."""
    from mho.mapping.dense import MAPPINGS, PACKINGS
    from mho.schedule.compile import RESIDENCIES, SCHEDULES

    return {
        "schedule": tuple(SCHEDULES),
        "mapping": tuple(MAPPINGS),
        "packing": tuple(PACKINGS),
        "residency": tuple(RESIDENCIES),
    }


def check_strategies(**given: str) -> None:
    """Refuse a strategy that does not exist, before any long work. OptionError names the option and the nearest names."""
    known = registries()
    for option, name in given.items():
        if name not in known[option]:
            raise OptionError(f"--{option}: unknown {option} {name!r}; {choices(name, known[option])}")


class StrategyCommand(TyperCommand):
    """A command whose help names the registered strategies; they are imported only when help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the names filled in."""
        known = registries()
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if parameter.name in known and isinstance(text, str):
                parameter.__dict__["help"] = text.replace(NAMES, ", ".join(known[parameter.name]))
        super().format_help(ctx, formatter)
