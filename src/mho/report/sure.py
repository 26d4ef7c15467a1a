"""How sure a figure is, as the line under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.engineering import ratio
from mho.machine.uncertainty import interval_said, uncertainty_said


def sure(key: str, unit: str, record: Mapping[str, Any] | None) -> tuple[tuple[str, str, str], ...]:
    """Return the line under a figure (`energy_j` or `area_m2`) that tells its interval; none where that was not asked."""
    if record is None:
        return ()
    return (("how sure", interval_said(record[key], unit), uncertainty_said(record, key, unit)),)


def factor_said(sure: Mapping[str, Any]) -> str:
    """Say between which factors most draws lie, and whether it is decided which of the two takes less."""
    return f"{ratio(sure['low'])} to {ratio(sure['high'])}, {'decided' if sure['decided'] else 'undecided'}"
