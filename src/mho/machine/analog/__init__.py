"""Analog execution: what converters, devices and wires make of the sums that the arrays of a chip compute."""

from mho.machine.analog.devices import Device
from mho.machine.analog.signals import LayerSignal, Signals
from mho.machine.analog.spec import Adc, Analog, Wires

__all__ = ["Adc", "Analog", "Device", "LayerSignal", "Signals", "Wires"]
