"""What else one could buy: machines that are not crossbars, in the same component costs."""

from mho.baseline.account import check_dataflow, run
from mho.baseline.folds import DATAFLOWS
from mho.baseline.result import Record, Run, Totals
from mho.baseline.systolic import Systolic

__all__ = ["DATAFLOWS", "Record", "Run", "Systolic", "Totals", "check_dataflow", "run"]
