"""A page whose rows are measured subject by subject on real data: what is measured is kept, an interrupted run loses one row."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy import found_data
from benchmarks.files import read_json, write_json


@dataclass(frozen=True)
class Subjects:
    """What is measured, by name, from a folder of data, and where it is kept: `part` of the JSON `results` of a schema.

    `said`: what the command does; `write` writes page and plots from the JSON.
    """

    command: str
    said: str
    results: Path
    schema: str
    part: str
    measures: Mapping[str, Callable[[Path], dict[str, Any]]]
    write: Callable[[dict[str, Any]], None]

    def main(self, arguments: list[str] | None) -> int:
        """Measure all subjects or some, and write the page."""
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks {self.command}",
            description=self.said,
            epilog="The data are found in the folder MHO_DATA, else in ../shared/data.",
        )
        parser.add_argument(
            "--only", metavar="NAME", action="append",
            help="measure the subject of this name alone, or all that have it in theirs; others are kept",
        )  # fmt: skip
        parser.add_argument("--render", action="store_true", help="write the page again from the JSON")
        chosen = parser.parse_args(arguments)
        if not chosen.render:
            names = [name for asked in chosen.only or [""] for name in self._named(asked, parser)]
            data = found_data()
            if data is None:
                sys.stderr.write("skipped: there are no real data (set MHO_DATA)\n")
                return 0
            for name in dict.fromkeys(names):
                found = {name: self.measures[name](data)}
                known = read_json(self.results).get(self.part, {}) | found
                kept = {each: known[each] for each in self.measures if each in known}
                write_json(self.results, {"schema": self.schema, self.part: kept})
                self.write(read_json(self.results))
        self.write(read_json(self.results))
        return 0

    def _named(self, asked: str, parser: argparse.ArgumentParser) -> list[str]:
        """Return the subjects that are asked for; the command ends where there are none."""
        if asked in self.measures:
            return [asked]
        names = [name for name in self.measures if asked in name]
        if not names:
            parser.error(f"no subject has {asked!r} in its name: {'; '.join(self.measures)}")
        return names
