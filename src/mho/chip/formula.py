"""The closed set of published formulas that a technology file may name.

A formula takes numbers by name: the file's coefficients, the component's parameters and what the chip
supplies (bits, bytes, rate_hz ..., all SI). Its result is in SI units; only a power law gives the unit that
the file states.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType


def power_law(factor: float, exponents: Mapping[str, float], arguments: Mapping[str, float]) -> float:
    """Return factor * product of argument ** exponent, over the arguments that have an exponent."""
    return factor * math.prod(math.pow(arguments[name], exponent) for name, exponent in exponents.items())


def adc_survey_energy(
    *,
    bits: float,
    node: float,
    rate_hz: float,
    fom_frequency_slope: float,
    fom_intercept: float,
    fom_bits_slope: float,
    fom_bits_intercept: float,
    log_intercept: float,
    log_node_slope: float,
    log_bits_slope: float,
    log_residual: float,
) -> float:
    """Return the energy per conversion in J of a survey-best ADC (Andrulis et al., arXiv 2404.06553).

    The Schreier figure of merit (dB) is bounded by a line in ln(rate) and by one in the resolution; with the
    signal-to-noise ratio of an ideal quantiser it gives an energy, corrected by a regression on node (nm) and
    bits.
    """
    fom = min(
        fom_intercept + fom_frequency_slope * math.log(rate_hz),
        fom_bits_intercept + fom_bits_slope * math.ceil(bits),
    )
    signal_to_noise = 20 * math.log10(2) * bits + 10 * math.log10(1.5)
    correction = log_intercept + log_node_slope * math.log(node * 1e9) + log_bits_slope * math.log(bits) + log_residual
    # The correction was fitted with published energies in pJ, so its exponential carries pJ.
    return 0.5 * 10 ** ((signal_to_noise - fom) / 10) * math.exp(correction) * 1e-12


def adc_survey_area(
    *,
    energy: float,
    node: float,
    rate_hz: float,
    log_intercept: float,
    log_node_slope: float,
    log_rate_slope: float,
    log_energy_slope: float,
) -> float:
    """Return the area in m2 of a survey-best ADC from node, rate and energy per conversion (regression in nm, Hz, pJ,
    um2).
    """
    logarithm = (
        log_intercept
        + log_node_slope * math.log(node * 1e9)
        + log_rate_slope * math.log(rate_hz)
        + log_energy_slope * math.log(energy * 1e12)
    )
    return math.exp(logarithm) * 1e-12


def sar_conversion(
    *,
    bits: float,
    column_resistance: float,
    power_per_bit: float,
    power_offset: float,
    power_column: float,
    column_slope: float,
    time_per_step: float,
) -> float:
    """Return the energy per conversion in J of NeuroSim's SAR ADC: power(bits, column resistance) for bits + 1 steps."""
    power = power_per_bit * bits + power_offset + power_column * math.exp(column_slope * math.log10(column_resistance))
    return power * (bits + 1) * time_per_step


def write_pulse(*, voltage: float, on_conductance: float, off_conductance: float, pulse_s: float) -> float:
    """Return the mean energy in J of one programming pulse of one cell: V^2 (G_on + G_off) / 2 t (NeuroSim, conduction
    part).
    """
    return voltage**2 * (on_conductance + off_conductance) / 2 * pulse_s


def array_read(
    *,
    rows: float,
    columns: float,
    voltage: float,
    on_conductance: float,
    off_conductance: float,
    read_time: float,
    active_rows: float,
) -> float:
    """Return the energy in J of one step: a fraction `active_rows` of the rows driven, cells at mean conductance."""
    return active_rows * rows * columns * voltage**2 * (on_conductance + off_conductance) / 2 * read_time


def cell_area(*, rows: float, columns: float, width_features: float, height_features: float, node: float) -> float:
    """Return the area in m2 of the cells of an array, each width x height in units of the feature size."""
    return rows * columns * width_features * height_features * node**2


FORMULAS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            adc_survey_energy,
            adc_survey_area,
            sar_conversion,
            write_pulse,
            array_read,
            cell_area,
        )
    }
)
"""Formulas with fixed argument names; `power_law` stands beside them since it takes any."""


def arguments_of(name: str) -> tuple[str, ...]:
    """Return the argument names of a formula in FORMULAS."""
    return tuple(inspect.signature(FORMULAS[name]).parameters)
