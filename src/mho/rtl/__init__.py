"""The digital side of a group of arrays as Verilog, made from the chip's own file, and run beside what a program computes.

Needs Amaranth (`pip install "mho[rtl]"`); nothing else of mho imports this.
"""

from __future__ import annotations

from importlib.util import find_spec

from mho.errors import OptionError

if find_spec("amaranth") is None:
    raise OptionError('the logic of a chip is made with the package amaranth: pip install "mho[rtl]"')

from mho.rtl.controller import TileList
from mho.rtl.cosimulate import CoSimulation, cosimulate
from mho.rtl.emit import outline, verilog
from mho.rtl.layer import Layer, layer_of
from mho.rtl.plan import Plan
from mho.rtl.synthesis import Synthesis, files, synthesise

__all__ = [
    "CoSimulation",
    "Layer",
    "Plan",
    "Synthesis",
    "TileList",
    "cosimulate",
    "files",
    "layer_of",
    "outline",
    "synthesise",
    "verilog",
]
