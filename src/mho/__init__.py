"""mho: compiler, simulator and design explorer for in-memory-computing chips made of resistive crossbars.

chip = mho.Chip.load("aras")
network = mho.zoo.load("resnet50")
program = mho.compile(network, chip, schedule="adaptive")
report = mho.simulate(program)
outputs = mho.execute(program, inputs)
mho.verify(program, inputs)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mho import baseline, errors
    from mho.baseline import Systolic
    from mho.chip import Chip
    from mho.machine import Verification, execute, verify
    from mho.network import Network, zoo
    from mho.number import QuantisedNetwork, align, narrow, quantise, run_float, run_reference
    from mho.program import Program
    from mho.report import Report, simulate
    from mho.schedule import Search, compile
    from mho.version import __version__

_WHERE = {
    "Chip": "mho.chip",
    "Network": "mho.network",
    "Program": "mho.program",
    "QuantisedNetwork": "mho.number",
    "Report": "mho.report",
    "Search": "mho.schedule",
    "Systolic": "mho.baseline",
    "Verification": "mho.machine",
    "__version__": "mho.version",
    "align": "mho.number",
    "baseline": "mho.baseline",
    "compile": "mho.schedule",
    "errors": "mho.errors",
    "execute": "mho.machine",
    "narrow": "mho.number",
    "quantise": "mho.number",
    "run_float": "mho.number",
    "run_reference": "mho.number",
    "simulate": "mho.report",
    "verify": "mho.machine",
    "zoo": "mho.network.zoo",
}

__all__ = [
    "Chip",
    "Network",
    "Program",
    "QuantisedNetwork",
    "Report",
    "Search",
    "Systolic",
    "Verification",
    "__version__",
    "align",
    "baseline",
    "compile",
    "errors",
    "execute",
    "narrow",
    "quantise",
    "run_float",
    "run_reference",
    "simulate",
    "verify",
    "zoo",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import mho` and `mho --help` are instant."""
    if name not in _WHERE:
        raise AttributeError(f"module 'mho' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    value = module if _WHERE[name].endswith(f".{name}") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
