"""mho: compiler, simulator and design explorer for in-memory-computing chips made of resistive crossbars.

chip = mho.Chip.load("aras")
network = mho.zoo.load("resnet50")
program = mho.compile(network, chip, mho.Strategy.load("adaptive"))
report = mho.simulate(program)
outputs = mho.execute(program, inputs)
mho.verify(program, inputs)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mho.kernels import keep

if TYPE_CHECKING:
    from mho import chip as chip
    from mho import errors
    from mho import machine as machine
    from mho import mapping as mapping
    from mho import network as network
    from mho import number as number
    from mho import program as program
    from mho import report as report
    from mho import schedule as schedule
    from mho import strategy as strategy
    from mho import training as training
    from mho.chip import Chip
    from mho.core import Core
    from mho.explore import Exploration, Room, Space
    from mho.machine import execute, verify
    from mho.machine.report import Report, simulate
    from mho.machine.robustness import robust
    from mho.network import Network, zoo
    from mho.network.samples import Samples
    from mho.network.trace import Trace
    from mho.number import quantise
    from mho.program import Program
    from mho.report.views import save
    from mho.schedule import compile
    from mho.strategy import Strategy
    from mho.version import __version__

    explore: Room
    """The function of the name, and the room that holds it."""

_WHERE = {
    "Chip": "mho.chip",
    "Core": "mho.core",
    "Exploration": "mho.explore",
    "Network": "mho.network",
    "Program": "mho.program",
    "Report": "mho.machine.report",
    "Samples": "mho.network.samples",
    "Space": "mho.explore",
    "Strategy": "mho.strategy",
    "Trace": "mho.network.trace",
    "__version__": "mho.version",
    "compile": "mho.schedule",
    "errors": "mho.errors",
    "execute": "mho.machine",
    "explore": "mho.explore",
    "quantise": "mho.number",
    "robust": "mho.machine.robustness",
    "save": "mho.report.views",
    "simulate": "mho.machine.report",
    "verify": "mho.machine",
    "zoo": "mho.network.zoo",
}

__all__ = [
    "Chip",
    "Core",
    "Exploration",
    "Network",
    "Program",
    "Report",
    "Samples",
    "Space",
    "Strategy",
    "Trace",
    "__version__",
    "compile",
    "errors",
    "execute",
    "explore",
    "quantise",
    "robust",
    "save",
    "simulate",
    "verify",
    "zoo",
]

_STAGES = (
    "chip", "machine", "mapping", "network", "number", "program", "report", "schedule", "strategy", "training",
)  # fmt: skip
"""The stages, reachable as mho.number and so on."""


keep()
del keep


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import mho` and `mho --help` are instant."""
    if name in _STAGES:
        return import_module(f"mho.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    value = module if _WHERE[name].endswith(f".{name}") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
