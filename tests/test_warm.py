"""Kernels compiled ahead: by commands that there are, on files that there are, and nearly all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mho.cli import warm
from mho.cli.app import command
from tests.command_line import Shell

LEFT = {
    "mho.machine.analog.compiled.clip",  # of processors that have no counting kernel
    "mho.machine.analog.unroll._unroll",  # of strides that no sample has
    "mho.machine.analog.wires_lines.pivots",  # of large matrices
    "mho.machine.analog.wires_lines._risen",
    "mho.machine.analog.wires_lines.sweep",
    "mho.machine.analog.wires_lines.ladders",
    "mho.machine.compiled.compared",  # of cells that are overwritten with real weights
}
"""Kernels that may still be compiled at their first use."""
TOLD = """
import json
from mho.cli.app import command
from mho.cli.warm import kernels
command()(["warm"], standalone_mode=False)
print(json.dumps({name: len(each.signatures) for name, each in kernels().items()}))
"""


def test_what_is_done_is_a_command_each_on_files_of_the_samples(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []

    def noted(called: Any, words: tuple[str, ...], folder: Path) -> None:
        named = [word for word in words if word.endswith((".onnx", ".npz", ".csv"))]
        assert all((folder / word).is_file() for word in named)
        made.append(words)

    monkeypatch.setattr(warm, "done", noted)
    monkeypatch.setattr(warm, "kept", lambda: (3, {"/a/folder/b", "/a/folder/c"}))
    said = shell("warm")
    assert made == [words for commands in warm.WORK.values() for words in commands]
    assert [line.partition(":")[0] for line in said.out.splitlines()[:-1]] == list(warm.WORK)
    assert said.out.splitlines()[-1] == "3 kernels are kept in /a/folder"


def test_what_a_command_tells_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    warm.done(command(), ("chips",), tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.nightly
def test_nearly_all_kernels_are_compiled_and_kept(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", TOLD], env=environment, capture_output=True, text=True, check=True)
    *_, said, told = ended.stdout.splitlines()
    missing = {name for name, signatures in json.loads(told).items() if not signatures}
    assert missing <= LEFT and f"kept in {tmp_path}" in said
    assert len(list(tmp_path.rglob("*.nbi"))) == int(said.split()[0]) >= len(json.loads(told)) - len(LEFT) - 10
