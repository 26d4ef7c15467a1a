"""A systolic array: the machine that one could buy in place of crossbars, in the same component costs."""

from mho.machine.systolic.account import check_dataflow, run
from mho.machine.systolic.folds import DATAFLOWS
from mho.machine.systolic.result import Record, Run, Totals
from mho.machine.systolic.spec import Systolic

__all__ = ["DATAFLOWS", "Record", "Run", "Systolic", "Totals", "check_dataflow", "run"]
