"""Is a program right? Executed against the integer reference, bit for bit, and checked to be legal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from mho.files.outcome import Outcome
from mho.machine.functional import Executor
from mho.machine.gathered import bags_of_values
from mho.machine.losses import Losses, Watch
from mho.machine.resolution import Resolution, record, resolution
from mho.machine.streaming import time_stream
from mho.machine.timing import time_program
from mho.network.layers import EmbeddingBag, MatrixLayer
from mho.number import run_reference
from mho.number.accuracy import Accuracy
from mho.number.reference import Values
from mho.number.walk import checked
from mho.program import Program, Violation, violations
from mho.program.legality import time_violations
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.verification/1"
OF_PROGRAM = ("model", "weights_origin", "chip", "schedule", "strategy")
"""Keys of the data that describe the verified program."""


@dataclass(frozen=True, repr=False)
class Verification(Outcome):
    """The result of verifying a program.

    `exact` says that every compared tensor is equal bit for bit: the outputs and the output of every matrix layer, with
    converters that resolve every sum; `resolution` says of which layers this chip's do. `mismatches` names tensors that are not
    equal, with how many elements differ; `illegal` lists broken rules. `losses`: how many conversions this chip's own ADCs would
    clip or round, `accuracy`: how many labelled samples float and integers classify rightly, each where that was measured.
    `about` is what was verified, `data` where the samples come from, None where that was not said.
    """

    samples: int
    compared: int
    mismatches: tuple[tuple[str, int, int], ...]
    illegal: tuple[Violation, ...]
    resolution: Resolution
    losses: Losses | None
    about: Mapping[str, Any]
    notes: tuple[str, ...]
    data: str | None = None
    accuracy: Accuracy | None = None
    version: str = __version__
    schema: ClassVar[str] = SCHEMA

    @property
    def exact(self) -> bool:
        """Say whether tensors were compared, and all are equal."""
        return self.compared > 0 and not self.mismatches

    @property
    def ok(self) -> bool:
        """Say whether the program is exact and legal."""
        return self.exact and not self.illegal

    def __str__(self) -> str:
        """Say it in one line, with the condition under which it holds."""
        if self.ok:
            comma = "," if self.resolution.complete else ""
            on = f"{self.compared} tensors on {self.samples} sample{'s' * (self.samples != 1)}"
            return f"bit-exact{comma} {self.resolution.condition}; {on}, and legal"
        parts = [f"{name}: {wrong} of {size} elements differ" for name, wrong, size in self.mismatches[:3]]
        parts += [f"instruction {violation.instruction}: {violation.text}" for violation in self.illegal[:3]]
        return "NOT verified: " + "; ".join(parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say what this chip's own converters resolve of the sums, and what they were measured to lose."""
        return (str(self.resolution), *(() if self.losses is None else (str(self.losses),)))

    def headline(self) -> str:
        """Say what was verified, and what was found."""
        return f"{self.about['model']} on {self.about['chip']['name']}, schedule {self.about['schedule']}: {self}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return on what it rests."""
        counted = () if self.accuracy is None else (("top-1", str(self.accuracy)),)
        return (("samples", self.data or "not said"), ("weights", self.about["weights_origin"]), *counted)

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the table: `layers`, and tensors of others that differ; how many elements do, and what sums ask of converters."""
        wrong = {name: count for name, count, _ in self.mismatches}
        sums = {layer.name: record(layer) for layer in self.resolution.layers}
        return {
            "layers": lambda: columns(
                {"name": name, "wrong": wrong.get(name, 0) if self.compared else None, **sums.get(name, {})}
                for name in dict.fromkeys((*sums, *wrong))
            )
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON (schema mho.verification/1, documented in docs/cli.md)."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            **{name: self.about[name] for name in OF_PROGRAM},
            "samples": self.samples,
            "data": self.data,
            "bit_exact": self.exact,
            "legal": not self.illegal,
            "text": str(self),
            "converters": {
                **self.resolution.to_dict(),
                "measured": None if self.losses is None else self.losses.to_dict(),
            },
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "notes": list(self.notes),
            "compared": self.compared,
            "mismatches": [list(mismatch) for mismatch in self.mismatches],
            "violations": [asdict(violation) for violation in self.illegal],
            "layers": [{"name": layer.name, **record(layer)} for layer in self.resolution.layers],
        }

    @classmethod
    def _read(cls, content: Mapping[str, Any]) -> Verification:
        measured, counted = content["converters"]["measured"], content["accuracy"]
        return cls(
            samples=content["samples"],
            compared=content["compared"],
            mismatches=tuple((name, wrong, size) for name, wrong, size in content["mismatches"]),
            illegal=tuple(Violation(**violation) for violation in content["violations"]),
            resolution=Resolution.from_records(content["converters"]["adc_bits"], content["layers"]),
            losses=None if measured is None else Losses.from_dict(measured),
            about={name: content[name] for name in OF_PROGRAM},
            notes=tuple(content["notes"]),
            data=content["data"],
            accuracy=None if counted is None else Accuracy.from_dict(counted),
            version=content["version"],
        )


def verify(program: Program, inputs: Any, *, losses: bool = False) -> Verification:
    """Execute a program, compare with the integer reference, and check that the program is legal as timed.

    Every matrix layer's output is compared besides the network's, so that an error cannot hide behind a later clip. A
    program that is illegal as written is not executed: nothing is compared then. Converters are taken to resolve every sum;
    the result says whether this chip's do, and with `losses` how many conversions of these inputs they would clip or round.
    `inputs` as for execute, and the same errors.
    """
    resolved = resolution(program)
    illegal = violations(program)
    about = {
        "model": program.network.name,
        "weights_origin": program.network.origin,
        "chip": {"name": program.chip.name, "digest": program.chip.digest},
        "schedule": program.schedule,
        "strategy": program.strategy.to_dict(),
    }
    if illegal:
        return Verification(0, 0, (), illegal, resolved, None, about, program.notes)
    keep = tuple(layer.name for layer in program.network.layers if isinstance(layer, MatrixLayer | EmbeddingBag))
    # What merged columns lose nobody can tell by single ones, and columns that are not driven lose nothing.
    watch = Watch(program) if losses and program.mapping.plain else None
    got = Executor(program, watch=watch).run(inputs, keep=keep)
    assert program.quantised is not None
    wanted = run_reference(program.quantised, inputs, keep=keep)
    mismatches = []
    for name, values in wanted.items():
        same = got[name].shape == values.shape
        wrong = int(np.count_nonzero(got[name] != values)) if same else values.size
        if wrong:
            mismatches.append((name, wrong, values.size))
    served = _served(program, inputs)
    timing = time_program(served)
    # A program that was judged as written is judged by its times alone.
    judged = time_violations if served is program else violations
    broken = list(judged(served, (timing.starts, timing.ends)))
    if program.stream is not None:
        followed = time_stream(program)
        broken += [each for each in time_violations(program, (followed.starts, followed.ends)) if each not in broken]
    samples = len(next(iter(wanted.values())))
    return Verification(
        samples,
        len(wanted),
        tuple(mismatches),
        tuple(broken),
        resolved,
        None if watch is None else watch.losses(samples),
        about,
        program.notes,
    )


def _served(program: Program, inputs: Any) -> Program:
    """Return a program that gathers rows with the bags that inputs hold, if it has none: its times are those of these."""
    if program.mapping.tables is None or program.bags is not None or program.quantised is None:
        return program
    arrays, _ = checked(program.network, inputs)
    values = Values(program.quantised, {})
    values.enter(arrays)
    return program.with_bags(bags_of_values(program, values))
