"""What an option accepts by name: read from where the strategies are registered, so that help and check agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.cli.command import Command
from mho.errors import OptionError, choices

NAMES = "{names}"
"""Where the help of a strategy option names what is accepted."""


def registries() -> Mapping[str, tuple[str, ...]]:
    """Return for each strategy option the names that it accepts."""
    from mho.mapping.choose import PACKINGS
    from mho.number.recode import METHODS
    from mho.schedule.adaptive import OBJECTIVES
    from mho.strategy import registered

    stages = ("schedule", "mapping", "residency", "banks", "low_cell", "placement")
    found = {stage: tuple(registered(stage)) for stage in stages}
    return {**found, "packing": PACKINGS, "objective": OBJECTIVES, "rounding": METHODS}


def analog_keys() -> tuple[str, ...]:
    """Return the keys that --set takes for the analog side, those of a device included."""
    from mho.machine.analog.devices.reader import keys
    from mho.machine.analog.spec import Analog

    device = tuple(f"device.{key}" for key in keys() if key not in ("name", "description"))
    return (*Analog.keys(), *device)


def check_strategies(**given: str | None) -> None:
    """Refuse a strategy that does not exist, before any long work. OptionError names the option and the nearest names."""
    known = registries()
    for option, name in given.items():
        if name is not None and name not in known[option]:
            written = option.replace("_", "-")
            raise OptionError(f"--{written}: unknown {option} {name!r}; {choices(name, known[option])}")


class StrategyCommand(Command):
    """A command whose help names the registered strategies; they are imported only when help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the names filled in."""
        known = {**registries(), "settings": analog_keys()}
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if parameter.name in known and isinstance(text, str):
                parameter.__dict__["help"] = text.replace(NAMES, ", ".join(known[parameter.name]))
        super().format_help(ctx, formatter)
