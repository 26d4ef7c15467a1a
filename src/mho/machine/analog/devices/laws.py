"""The laws that devices may obey, each under the name of its part of a device file, in the order in which they act on cells."""

from __future__ import annotations

from mho.machine.analog.devices.drift import Drift
from mho.machine.analog.devices.endurance import Endurance
from mho.machine.analog.devices.flicker import Flicker
from mho.machine.analog.devices.law import Law
from mho.machine.analog.devices.programming import Programming, Verify
from mho.machine.analog.devices.read_noise import ReadNoise
from mho.machine.analog.devices.relaxation import Relaxation
from mho.machine.analog.devices.stuck import Stuck
from mho.plugins import Registry

LAWS: Registry[type[Law]] = Registry(
    "device law",
    {
        "programming": Programming,
        "verify": Verify,
        "read": ReadNoise,
        "stuck": Stuck,
        "drift": Drift,
        "relaxation": Relaxation,
        "flicker": Flicker,
        "endurance": Endurance,
    },
)
