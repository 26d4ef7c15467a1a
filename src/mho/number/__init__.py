"""How values are coded: affine 8-bit integers, the one defined arithmetic, and the integer reference."""

from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.number.quantised import quantise
from mho.number.reference import run_reference
from mho.number.walk import run_float

__all__ = ["QuantisedMatrix", "QuantisedNetwork", "QuantisedTable", "quantise", "run_float", "run_reference"]
