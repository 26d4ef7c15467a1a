"""How values are coded: affine 8-bit integers, the one defined arithmetic, and the integer reference."""

from mho.number.alignment import CENTRES, Alignment, align, narrow, skip_probability
from mho.number.basis import BasisCoding
from mho.number.bits import LayerBits
from mho.number.budget import Budget
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.number.fewest import Fewest
from mho.number.fitting import fit_basis, read_from
from mho.number.grid import Grid
from mho.number.planes import Planes
from mho.number.quantised import quantise
from mho.number.recode import recode
from mho.number.reference import run_reference
from mho.number.sampled import Sampled
from mho.number.squeeze import Squeeze, squeeze
from mho.number.uncoded import uncoded
from mho.number.walk import run_float

__all__ = [
    "CENTRES",
    "Alignment",
    "BasisCoding",
    "Budget",
    "Fewest",
    "Grid",
    "LayerBits",
    "Planes",
    "QuantisedMatrix",
    "QuantisedNetwork",
    "QuantisedTable",
    "Sampled",
    "Squeeze",
    "align",
    "fit_basis",
    "narrow",
    "quantise",
    "read_from",
    "recode",
    "run_float",
    "run_reference",
    "skip_probability",
    "squeeze",
    "uncoded",
]
