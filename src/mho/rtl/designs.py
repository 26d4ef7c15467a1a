"""The Verilog of a searched design beside its report: periphery, test bench, and what co-simulating a layer of its program gave."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mho.errors import MhoError, OptionError
from mho.program import Program
from mho.rtl.bench import write_bench
from mho.rtl.cosimulate import cosimulate
from mho.rtl.emit import verilog
from mho.rtl.group import Group
from mho.rtl.layer import layer_of

WINDOWS = 2
"""Windows of a layer that are run for each design."""


def design_files(program: Program, inputs: Any) -> dict[str, str]:
    """Return group.v, the test bench with what it reads, and rtl.json, for the first layer of a program that the periphery serves;
    rtl.txt alone, which says why, where it serves none. Raises OptionError where what leaves the logic is not what was executed.
    """
    refused = "no layer has weights"
    for mapped in program.mapping.layers:
        try:
            layer = layer_of(program, mapped.name, inputs, WINDOWS)
        except MhoError as error:
            refused = str(error)
            continue
        found = cosimulate(layer, "amaranth")
        if not found.ok:
            raise OptionError(f"--rtl: {found}")
        texts = {
            "group.v": verilog(layer.plan),
            "rtl.json": json.dumps(found.to_dict(), indent=1) + "\n",
            "rtl.txt": f"{found}\n",
        }
        with tempfile.TemporaryDirectory(prefix="mho.rtl.") as scratch:
            write_bench(Path(scratch), Group(layer.plan), layer.parts[-1].stimulus)
            return texts | {path.name: path.read_text() for path in Path(scratch).iterdir()}
    return {"rtl.txt": f"no Verilog: {refused}\n"}


@dataclass(frozen=True)
class WithVerilog:
    """What makes the files of a report, and of the design's logic beside it; `inputs`: samples that programs are executed on."""

    files: Callable[[Any], Mapping[str, str | bytes]]
    inputs: Any

    def __call__(self, report: Any) -> dict[str, str | bytes]:
        """Return the files of a report and its logic."""
        inputs = self.inputs.first(report.program.network.batch).inputs
        return {**self.files(report), **design_files(report.program, inputs)}


__all__ = ["WithVerilog", "design_files"]
