"""mho warm: numerical kernels compiled and kept ahead, so that no first use of a command waits for them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

EPILOG = "mho warm"
DIGITS, CLICKS = (
    ("digits.onnx", "--data", "digits.npz"),
    ("synthetic-clicks.csv", "--query", "session", "--row", "item"),
)
SMALL = ("--samples", "1", "--set", "chip.array.rows=16", "--set", "chip.array.columns=16")
WIRES = (*SMALL, "--set", "wires.row_ohm=1", "--set", "wires.column_ohm=1")
WORK: dict[str, tuple[tuple[str, ...], ...]] = {
    "schedules, timing, wear": (
        ("run", "resnet20"),
        ("run", "resnet20", "--chip", "isaac", "--stream"),
        ("verify", *DIGITS, "--chip", "sme", "--strategy", "sme"),
    ),
    "a basis": (("verify", *DIGITS, "--chip", "basisn", "--strategy", "basisn"),),
    "every conversion": (
        ("accuracy", *DIGITS, "--samples", "50"),
        ("accuracy", *DIGITS, "--samples", "50", "--set", "device=taox"),
        ("accuracy", *DIGITS, "--samples", "50", "--set", "adc.bits=8", "--set", "adc.range=calibrated"),
    ),
    "wires": (
        ("accuracy", *DIGITS, *WIRES),
        ("accuracy", *DIGITS, *WIRES, "--set", "wires.method=fast"),
    ),
    "look-ups": (
        ("recommend", *CLICKS),
        ("recommend", *CLICKS, "--grouping", "refine", "--design", "mho"),
        ("trace", *CLICKS),
    ),
}
"""What is done for each kind of kernels: commands on the files of `mho init samples`, whose words these are."""


def warm(context: typer.Context) -> None:
    """Compile numerical kernels ahead and keep them: a minute or two once, seconds where they are kept already.

    They are kept where those of first uses are: beside the package, else in the user's folder of caches, else among temporary
    files. A kernel for large matrices with wires may still be compiled at its first use.
    """
    from mho.samples import write_samples

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "samples"
        write_samples(folder)
        for kind, commands in WORK.items():
            began = perf_counter()
            for words in commands:
                done(context.find_root().command, words, folder)
            typer.echo(f"{kind}: {perf_counter() - began:.1f} s")
    number, places = kept()
    typer.echo(
        f"{number} kernels are kept in {os.path.commonpath(places)}" if places else "numba is told to compile nothing"
    )


def done(command: Any, words: tuple[str, ...], folder: Path) -> None:
    """Run a command line on files of a folder, and leave out what it tells."""
    there = [str(folder / word) if (folder / word).is_file() else word for word in words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        command(there, standalone_mode=False)


def kernels() -> dict[str, Any]:
    """Return the kernels of the modules that are loaded, by name."""
    from numba.core.dispatcher import Dispatcher

    return {
        f"{name}.{attribute}": value
        for name, module in sorted(sys.modules.items())
        if name.startswith("mho.")
        for attribute, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.py_func.__module__ == name
    }


def kept() -> tuple[int, set[str]]:
    """Return how many kernels are kept, and in which folders."""
    folders = {str(each.stats.cache_path) for each in kernels().values() if each.signatures}
    return sum(len(list(Path(folder).glob("*.nbi"))) for folder in folders), folders


__all__ = ["EPILOG", "kernels", "warm"]
