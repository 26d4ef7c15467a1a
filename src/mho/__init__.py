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

if TYPE_CHECKING:
    from mho import errors, training
    from mho.chip import Chip
    from mho.core import Core
    from mho.explore import Exploration, Recommendation, Space, recommend
    from mho.machine import (
        Evaluation,
        Executor,
        Finding,
        Ordered,
        Sweep,
        Verification,
        calibrate,
        evaluate,
        execute,
        find,
        ordered,
        sweep,
        systolic,
        verify,
    )
    from mho.machine.analog import Analog, Device, Signals
    from mho.machine.lookup.service import Service, serve
    from mho.machine.recommender import Recommender
    from mho.machine.report import Report, simulate
    from mho.machine.systolic import Systolic
    from mho.mapping import frontier, mixed
    from mho.mapping.embedding import Layout, group, replicate
    from mho.mapping.embedding.storage import Seating
    from mho.network import Network, zoo
    from mho.network.trace import Trace
    from mho.number import (
        Grid,
        Planes,
        QuantisedNetwork,
        Sampled,
        align,
        narrow,
        quantise,
        recode,
        run_float,
        run_reference,
        squeeze,
    )
    from mho.program import Program
    from mho.report.views import save
    from mho.schedule import compile
    from mho.strategy import Strategy
    from mho.version import __version__

_WHERE = {
    "Space": "mho.explore",
    "Exploration": "mho.explore",
    "Analog": "mho.machine.analog",
    "Chip": "mho.chip",
    "Core": "mho.core",
    "Device": "mho.machine.analog",
    "Evaluation": "mho.machine",
    "Executor": "mho.machine",
    "Finding": "mho.machine",
    "Grid": "mho.number",
    "Layout": "mho.mapping.embedding",
    "Network": "mho.network",
    "Ordered": "mho.machine",
    "Planes": "mho.number",
    "Program": "mho.program",
    "QuantisedNetwork": "mho.number",
    "Recommendation": "mho.explore",
    "Recommender": "mho.machine.recommender",
    "Report": "mho.machine.report",
    "Sampled": "mho.number",
    "Seating": "mho.mapping.embedding.storage",
    "Service": "mho.machine.lookup.service",
    "Signals": "mho.machine.analog",
    "Strategy": "mho.strategy",
    "Sweep": "mho.machine",
    "Systolic": "mho.machine.systolic",
    "Trace": "mho.network.trace",
    "Verification": "mho.machine",
    "__version__": "mho.version",
    "align": "mho.number",
    "calibrate": "mho.machine",
    "compile": "mho.schedule",
    "errors": "mho.errors",
    "evaluate": "mho.machine",
    "execute": "mho.machine",
    "find": "mho.machine",
    "frontier": "mho.mapping",
    "group": "mho.mapping.embedding",
    "mixed": "mho.mapping",
    "narrow": "mho.number",
    "ordered": "mho.machine",
    "quantise": "mho.number",
    "recode": "mho.number",
    "recommend": "mho.explore",
    "replicate": "mho.mapping.embedding",
    "run_float": "mho.number",
    "run_reference": "mho.number",
    "save": "mho.report.views",
    "serve": "mho.machine.lookup.service",
    "simulate": "mho.machine.report",
    "squeeze": "mho.number",
    "sweep": "mho.machine",
    "systolic": "mho.machine.systolic",
    "training": "mho.training",
    "verify": "mho.machine",
    "zoo": "mho.network.zoo",
}

__all__ = [
    "Analog",
    "Chip",
    "Core",
    "Device",
    "Evaluation",
    "Executor",
    "Exploration",
    "Finding",
    "Grid",
    "Layout",
    "Network",
    "Ordered",
    "Planes",
    "Program",
    "QuantisedNetwork",
    "Recommendation",
    "Recommender",
    "Report",
    "Sampled",
    "Seating",
    "Service",
    "Signals",
    "Space",
    "Strategy",
    "Sweep",
    "Systolic",
    "Trace",
    "Verification",
    "__version__",
    "align",
    "calibrate",
    "compile",
    "errors",
    "evaluate",
    "execute",
    "find",
    "frontier",
    "group",
    "mixed",
    "narrow",
    "ordered",
    "quantise",
    "recode",
    "recommend",
    "replicate",
    "run_float",
    "run_reference",
    "save",
    "serve",
    "simulate",
    "squeeze",
    "sweep",
    "systolic",
    "training",
    "verify",
    "zoo",
]

_STAGES = ("chip", "explore", "machine", "mapping", "network", "number", "program", "report", "schedule", "training")
"""The stages, reachable as mho.number and so on."""


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
