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
settings.register_profile("nightly", settings.get_profile("mho"), max_examples=1000)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "mho")
settings.load_profile(PROFILE)
NIGHTLY_FACTOR = 10

DATA = Path(os.environ.get("MHO_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is `nightly`; under HYPOTHESIS_PROFILE=nightly give each property ten times its examples instead."""
    if PROFILE != "nightly":
        skip = pytest.mark.skip(reason="takes long: HYPOTHESIS_PROFILE=nightly")
        for item in items:
            if item.get_closest_marker("nightly"):
                item.add_marker(skip)
        return
    key = "_hypothesis_internal_use_settings"
    scaled = set()
    for item in items:
        test = getattr(item, "obj", None)
        stated: settings | None = getattr(test, key, None)
        if stated is not None and test not in scaled and stated.max_examples != settings.default.max_examples:
            setattr(test, key, settings(stated, max_examples=NIGHTLY_FACTOR * stated.max_examples))
            scaled.add(test)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real weights, images and traces, or skip the test."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: {DATA} is not a folder (set MHO_DATA)")
    return DATA
