"""What cases are made from, and the registry of their kinds."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

RUN = ("run", "--schedule", "naive")


@dataclass(frozen=True)
class Bench:
    """What a case is made from: files that are right, and the folder that it runs in."""

    rng: random.Random
    corpus: Path
    folder: Path

    def right(self, name: str) -> str:
        """Return the path of a file that is right."""
        return str(self.corpus / name)

    def put(self, name: str, content: bytes) -> str:
        """Write a file into the folder of the case, and return its name."""
        (self.folder / name).write_bytes(content)
        return name

    def pick(self, *options: Any) -> Any:
        """Return one of the options."""
        return self.rng.choice(options)


Kind = Callable[[Bench], list[str]]
KINDS: dict[str, tuple[Kind, int]] = {}


def kind(weight: int) -> Callable[[Kind], Kind]:
    """Register a kind, which comes up as often as its weight says."""

    def register(make: Kind) -> Kind:
        KINDS[make.__name__] = make, weight
        return make

    return register


def make(seed: int, number: int, only: str | None, corpus: Path, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Make a case: the name of its kind, and the words of the request."""
    rng = random.Random(f"{seed} {number}")
    names = list(KINDS)
    name = rng.choices(names, [KINDS[each][1] for each in names])[0] if only is None else only
    words = KINDS[name][0](Bench(rng, corpus, folder))
    # What no shell can hand over.
    return name, tuple(word.replace("\0", "") for word in words)


@cache
def options_of() -> dict[str, list[tuple[str, bool, bool]]]:
    """Return for each command its options: name, whether it takes a value, whether it is an output."""
    group: Any = importlib.import_module("mho.cli.app").__dict__["app"]
    if not hasattr(group, "commands"):
        group = typer.main.get_command(group)
    listing: dict[str, list[tuple[str, bool, bool]]] = {}
    for name, command in sorted(group.commands.items()):
        listing[name] = [
            (option, not each.is_flag, each.name in ("json_to", "csv_to", "out", "save"))
            for each in command.params
            if each.param_type_name == "option"
            for option in each.opts[:1]
        ]
    return listing


def requests(bench: Bench) -> dict[str, list[str]]:
    """Return for each command a request that is right, and small."""
    tiny, samples, trace = bench.right("tiny.onnx"), bench.right("samples.npz"), bench.right("trace.npz")
    analog = ["--data", samples, "--samples", "1", "--seeds", "1", "--schedule", "naive"]
    return {
        "run": [*RUN, tiny],
        "compare": ["compare", tiny, "--schedule", "naive,overlap"],
        "verify": ["verify", tiny, "--schedule", "naive"],
        "accuracy": ["accuracy", tiny, *analog],
        "sweep": ["sweep", tiny, *analog, "--over", "adc.bits=5"],
        "baseline": ["baseline", tiny],
        "study": ["study", "none", "--out", "out"],
        "trace": ["trace", trace],
        "recommend": ["recommend", trace, "--dimension", "8", "--design", "naive"],
        "models": ["models"],
        "chips": ["chips"],
        "devices": ["devices"],
        "show": ["show", "aras"],
        "list": ["list", bench.right("program.mho")],
        "init": ["init", "chip"],
    }
