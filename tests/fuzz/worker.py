"""A process that runs cases one after the other, each in a folder of its own: `python -m tests.fuzz.worker CORPUS SCRATCH SEED`.

It reads the number of a case a line, and answers with a line of JSON: the words of the request, and what they did wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import IO, Any

from tests.fuzz.judge import Ended, faults, snapshot

NUMBER, PLANTED = "MHO_FUZZ_CASE", "MHO_FUZZ_PLANTED"
ADDRESSES = 8 * 2**30
"""Bytes of address space beyond those at the start: what would take more is told that it cannot."""


def _memory(key: str) -> int:
    """Return a figure of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{key}:"))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def prepare() -> Any:
    """Import what commands import when they run, build the command line once, and limit the process."""
    import numba
    import torch

    # The name of the module is also that of the application in it.
    door = importlib.import_module("mho.cli.app")
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    command = door.__dict__["command"]()
    if PLANTED in os.environ:
        # Faults by which the fuzzer is tested itself, one a case.
        faults_of_ours = json.loads(os.environ[PLANTED])
        for name in ("show", "run"):
            command.commands[name].callback = lambda **_: exec(faults_of_ours[int(os.environ[NUMBER])])
    limit = _memory("VmSize") + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return door


def execute(door: Any, words: tuple[str, ...], folder: Path, scratch: Path) -> Ended:
    """Run one request in a folder; what it and its libraries print goes to files."""
    before = snapshot(folder)
    os.chdir(folder)
    kept = os.dup(1), os.dup(2)
    captured = [open(folder.parent / name, "w+b") for name in ("out", "err")]  # noqa: SIM115
    streams = sys.stdout, sys.stderr
    start = _memory("VmRSS")
    _forget_peak()
    try:
        for stream, number in zip(captured, (1, 2), strict=True):
            os.dup2(stream.fileno(), number)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(open(number, "wb", closefd=False), encoding="utf-8", errors=errors)  # noqa: SIM115
            for number, errors in ((1, "strict"), (2, "backslashreplace"))
        )
        code = door._run(list(words))
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 70
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = streams
        for old, number in zip(kept, (1, 2), strict=True):
            os.dup2(old, number)
            os.close(old)
        os.chdir(folder.parent)
    out, err = (_text(stream) for stream in captured)
    grown = _memory("VmHWM") - start
    left_there = tuple(sorted(os.listdir(scratch)))
    return Ended(words, int(code), out, err, before, snapshot(folder), left_there, grown)


def _text(stream: IO[bytes]) -> str:
    with stream:
        stream.seek(0)
        return stream.read().decode("utf-8", "backslashreplace")


def case(door: Any, number: int, *, seed: int, kind: str | None, corpus: Path, place: Path) -> dict[str, Any]:
    """Make a case and run it; return its words and what it did wrong."""
    from tests.fuzz.kinds import make

    folder, scratch = place / "case", place / "tmp"
    for each in (folder, scratch):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    os.environ[NUMBER] = str(number)
    name, words = make(seed, number, kind, corpus, folder)
    ended = execute(door, words, folder, scratch)
    return {
        "number": number, "kind": name, "words": words, "code": ended.code, "wrong": faults(ended),
        "err": ended.err[-3000:], "out": ended.out[-300:] if ended.code else "",
    }  # fmt: skip


def main() -> None:
    """Answer the numbers on standard input, each begun and ended with a line."""
    corpus, place, seed, kind = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or None
    os.environ["TMPDIR"] = str(place / "tmp")
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    door = prepare()
    answers.write("ready\n")
    for line in sys.stdin:
        answers.write(json.dumps(case(door, int(line), seed=seed, kind=kind, corpus=corpus, place=place)) + "\n")


if __name__ == "__main__":
    main()
