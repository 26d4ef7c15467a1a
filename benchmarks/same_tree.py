"""Run commands of mho in the tree that PYTHONPATH names, and keep what each writes: the part of benchmarks.same in either tree.

Called as a script, so that it imports nothing of mho's but the command line and what the snippets name.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

DONE = "done.json"
"""The file in a case's folder that says how its commands ended; a case that has it is not run again."""


def ended(call: Any) -> str:
    """Call a function silently; returns the error that it ended with, "" where it did not."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            call()
    except SystemExit as stop:
        if stop.code not in (None, 0):
            return f"exit code {stop.code}: {said.getvalue().strip()[-400:]}"
    except Exception:  # a case that fails must not end the others: what went wrong is in the comparison
        return traceback.format_exc()[-1200:]
    return ""


def command(line: str) -> str:
    """Run a command line of mho in this process."""
    from mho.cli import main

    sys.argv = ["mho", *shlex.split(line)]
    return ended(main)


def snippet(text: str) -> str:
    """Run lines of Python that set `result`, which is kept as result.json."""

    def run() -> None:
        names: dict[str, Any] = {}
        exec(text, names)  # the snippets are benchmarks.same's own
        Path("result.json").write_text(json.dumps(names["result"], default=str), encoding="utf-8")

    return ended(run)


def main() -> None:
    """Read {case: [[kind, text], ...]} from standard input; each case runs in a folder of its own below the folder named."""
    place = Path(sys.argv[1]).resolve()
    os.environ.pop("MHO_DATA", None)
    for name, steps in json.load(sys.stdin).items():
        folder = place / name
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / DONE).exists():
            continue
        os.chdir(folder)
        began, error = perf_counter(), ""
        for kind, text in steps:
            error = error or (command(text) if kind == "mho" else snippet(text))
        (folder / DONE).write_text(json.dumps({"error": error, "seconds": perf_counter() - began}), encoding="utf-8")
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
