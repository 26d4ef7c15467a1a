"""How values are coded: affine 8-bit integers, the one defined arithmetic, and the integer reference."""

from mho.number.alignment import CENTRES, Alignment, align, narrow, skip_probability
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.number.quantised import quantise
from mho.number.reference import run_reference
from mho.number.walk import run_float

__all__ = [
    "CENTRES",
    "Alignment",
    "QuantisedMatrix",
    "QuantisedNetwork",
    "QuantisedTable",
    "align",
    "narrow",
    "quantise",
    "run_float",
    "run_reference",
    "skip_probability",
]
