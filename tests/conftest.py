"""Shared fixtures."""

from __future__ import annotations

import os

# One thread a worker: pytest runs as many workers as there are cores, and threads would fight over them. Before numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("mho", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mho")

DATA = Path(os.environ.get("MHO_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real weights, images and traces, or skip the test."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: {DATA} is not a folder (set MHO_DATA)")
    return DATA
