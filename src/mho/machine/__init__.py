"""What a program does: two interpreters of the same program, one for time, energy and wear, one for values."""

from mho.machine.analog import Analog, Device, Signals
from mho.machine.bill import Account, Bill, Entry
from mho.machine.calibration import calibrate
from mho.machine.cells import wear
from mho.machine.changes import Wear, WriteCount
from mho.machine.endurance import Endurance, endurance, rotate
from mho.machine.energy import account
from mho.machine.functional import Executor, execute
from mho.machine.instances import read_basis
from mho.machine.occupancy import Occupancy, occupancy
from mho.machine.timing import Timing, time_program
from mho.machine.verify import Verification, verify

__all__ = [
    "Account", "Analog", "Bill", "Device", "Endurance", "Entry", "Executor", "Occupancy", "Signals", "Timing", "Verification",
    "Wear", "WriteCount", "account", "calibrate", "endurance", "execute", "occupancy", "read_basis", "rotate", "time_program",
    "verify", "wear",
]  # fmt: skip
