"""Where compiled kernels are kept: anywhere that is writable, and never where others could put theirs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import mho
from mho import kernels

PACKAGE = Path(mho.__file__).parent


def test_a_package_without_a_writable_place_and_home_compiles_and_keeps_its_kernels(tmp_path: Path) -> None:
    """Files stand where numba would make folders, as nobody may be forbidden to write who is root."""
    package = tmp_path / "package" / "mho"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (package, *(each for each in package.rglob("*") if each.is_dir())):
        (folder / "__pycache__").touch()
    (tmp_path / "home").touch()
    (tmp_path / "temporary").mkdir()
    places = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "temporary", "PYTHONPATH": package.parent}
    environment = {
        name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", kernels.VARIABLE)
    }
    code = "from mho.machine.carried import *; import mho.number.rounding, os; print(os.environ['NUMBA_CACHE_DIR'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **{name: str(value) for name, value in places.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).parent == tmp_path / "temporary"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither the package nor a home can be written to; returns the folder for temporary files."""
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    monkeypatch.setattr(kernels, "_writable", lambda folder: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    return tmp_path


def test_every_process_of_a_user_finds_the_same_folder_that_no_other_can_write_to(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels.keep()
    first = Path(os.environ[kernels.VARIABLE])
    assert first.parent == nowhere and not first.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    monkeypatch.delenv(kernels.VARIABLE)
    kernels.keep()
    assert Path(os.environ[kernels.VARIABLE]) == first


@pytest.mark.parametrize("kind", ["file", "open to all", "link"])
def test_what_others_may_have_put_there_is_not_taken(nowhere: Path, kind: str) -> None:
    usual = Path(kernels._private())
    usual.rmdir()
    if kind == "file":
        usual.touch()
    elif kind == "link":
        (nowhere / "theirs").mkdir()
        usual.symlink_to(nowhere / "theirs")
    else:
        usual.mkdir()
        usual.chmod(0o777)
    assert Path(kernels._private()) != usual


def test_a_folder_that_is_named_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "there")
    kernels.keep()
    assert os.environ[kernels.VARIABLE] == "there"


def test_a_folder_can_be_written_to_if_it_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert kernels._writable(tmp_path / "a" / "b")
    assert not kernels._writable(tmp_path / "file" / "b")
