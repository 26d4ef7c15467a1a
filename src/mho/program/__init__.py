"""The narrow waist: the program that schedules write and machines read."""

from mho.program.instructions import Activate, Combine, Gather, Groups, Instruction, Transfer, Vector, Write
from mho.program.legality import Violation, violations
from mho.program.listing import listing
from mho.program.program import BufferUse, Program, Stream
from mho.program.reading import load
from mho.program.storage import save

Program.listing, Program.save, Program.load = listing, save, load

__all__ = [
    "Activate", "BufferUse", "Combine", "Gather", "Groups", "Instruction", "Program", "Stream", "Transfer", "Vector", "Violation",
    "Write", "listing", "load", "save", "violations",
]  # fmt: skip
