"""Cells: what they conduct after a write, as published measurements say, and what they add to each read."""

from mho.machine.analog.devices.device import Device

__all__ = ["Device"]
