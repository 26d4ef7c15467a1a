"""Shared fixtures."""

from __future__ import annotations

import os

# One thread a worker: pytest runs as many workers as there are cores, and threads would fight over them. Before numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

if TYPE_CHECKING:
    from tests.command_line import Shell

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
NIGHTLY_SHARE, DAILY_SHARE, DAILY_LEAST = 10, 0.4, 25
"""Of the examples that a property states (100 where it states none): ten times as many at night, two fifths by day; 25 or fewer
are left as they are.
"""

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("mho", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# By day a test draws the same examples on every machine, so that only a change of the code can break it: neither found by chance,
# nor replayed from a folder of earlier failures, nor made of constants of whatever modules are loaded. New ones are for the night.
settings.register_profile("day", settings.get_profile("mho"), derandomize=True, database=None)
settings.register_profile("nightly", settings.get_profile("mho"), derandomize=False)
settings.load_profile("nightly" if NIGHTLY else "day")
if not NIGHTLY:
    providers._get_local_constants = lambda: providers._local_constants

DATA = Path(os.environ.get("MHO_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


def examples(stated: int) -> int:
    """Return how many examples a test takes, by day or by night, that states so many."""
    return NIGHTLY_SHARE * stated if NIGHTLY else min(stated, max(DAILY_LEAST, int(DAILY_SHARE * stated)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give properties the examples of the day, or of the night (HYPOTHESIS_PROFILE=nightly), which runs what is `nightly` too."""
    key, scaled = "_hypothesis_internal_use_settings", set()
    for item in items:
        if not NIGHTLY and item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.skip(reason="takes long: HYPOTHESIS_PROFILE=nightly"))
        test = getattr(item, "obj", None)
        stated: settings | None = getattr(test, key, None)
        if stated is not None and test not in scaled:
            setattr(test, key, settings(stated, max_examples=examples(stated.max_examples)))
            scaled.add(test)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run commands in this process."""
    from tests.command_line import Shell

    return Shell(monkeypatch, capsys)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real weights, images and traces, or skip the test."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: {DATA} is not a folder (set MHO_DATA)")
    return DATA
