"""Accuracy over one or two parameters of the analog side or of the chip."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.files.store import Store
from mho.machine.analog.spec import Analog
from mho.machine.evaluation import SEEDS, Evaluation, decibels, draws, evaluate
from mho.machine.judge import Progress
from mho.program import Program
from mho.shown import Columns, Shown, columns
from mho.version import __version__

if TYPE_CHECKING:
    from mho.network.samples import Samples

SCHEMA = "mho.sweep/1"
CHIP = "chip."
"""Before a parameter of the chip, for which the network is compiled anew."""
MOST = 2
"""Parameters of a sweep."""

Value = int | float | str
Build = Callable[[Mapping[str, Value]], Program]
"""Compiles for a chip with these values changed."""


@dataclass(frozen=True, repr=False)
class Sweep(Shown):
    """Evaluations at every combination of the values of one or two parameters, the last parameter changing fastest."""

    over: tuple[tuple[str, tuple[Value, ...]], ...]
    analog: Analog
    evaluations: tuple[Evaluation, ...]

    def headline(self) -> str:
        """Say what was swept."""
        first = self.evaluations[0]
        return f"Sweep: accuracy of {first.program.network.name} over {' and '.join(key for key, _ in self.over)}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the least and the highest accuracy."""
        ordered = sorted(self.points, key=lambda point: point[1].accuracy)
        return tuple(
            (which, f"{100 * found.accuracy:.2f} % at {named(values)}")
            for which, (values, found) in (("lowest", ordered[0]), ("highest", ordered[-1]))
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `points`, one a row, and `layers`, one at each point a row."""
        points = self.to_dict()["points"]
        return {
            "points": lambda: columns(
                {**each["values"], **{key: each[key] for key in ("chip", "accuracy", "agreement", "clip_rate")}}
                for each in points
            ),
            "layers": lambda: columns({**each["values"], **layer} for each in points for layer in each["layers"]),
        }

    @property
    def points(self) -> tuple[tuple[dict[str, Value], Evaluation], ...]:
        """The values of the parameters, and what was found there."""
        return tuple(zip(combinations(self.over), self.evaluations, strict=True))

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all points, each once; of a note that not all have, at how many points it holds."""
        short = (str(each.resolution) for each in self.evaluations if not each.resolution.complete)
        counts = Counter(short)
        counts.update(note for each in self.evaluations for note in each.notes)
        points = len(self.evaluations)
        return tuple(
            note if count == points else f"at {count} of {points} points: {note}" for note, count in counts.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON; `analog` holds the values that are not swept."""
        first = self.evaluations[0].to_dict()
        return {
            "schema": SCHEMA,
            "version": __version__,
            **{key: first[key] for key in ("model", "weights_origin", "schedule", "strategy", "data", "samples")},
            "analog": self.analog.to_dict(),
            "parameters": [{"key": key, "values": list(values)} for key, values in self.over],
            "accuracy": {"float": first["accuracy"]["float"]},
            "points": [_point(values, found) for values, found in self.points],
            "notes": list(self.notes),
        }


def _point(values: Mapping[str, Value], found: Evaluation) -> dict[str, Any]:
    whole = found.to_dict()
    return {
        "values": dict(values),
        "chip": whole["chip"],
        "draws": whole["draws"],
        "seeds": whole["seeds"],
        "accuracy": {"integers": whole["accuracy"]["integers"], **whole["accuracy"]["chip"]},
        "agreement": whole["agreement"]["mean"],
        "clip_rate": whole["clip_rate"],
        "layers": [
            {"name": layer.name, "snr_db": decibels(layer), "clip_rate": layer.clip_rate} for layer in found.layers
        ],
    }


def combinations(over: Sequence[tuple[str, Sequence[Value]]]) -> list[dict[str, Value]]:
    """Return every combination of the parameters' values, the last parameter changing fastest."""
    keys = [key for key, _ in over]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*(values for _, values in over))]


def split(values: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Tell changes of the chip, their prefix taken away, from changes of the analog side."""
    chip = {key.removeprefix(CHIP): value for key, value in values.items() if key.startswith(CHIP)}
    return chip, {key: value for key, value in values.items() if not key.startswith(CHIP)}


def sweep(
    program: Program | Build,
    samples: Samples,
    analog: Analog | None = None,
    *,
    over: Mapping[str, Sequence[Value]],
    seeds: int = SEEDS,
    calibration: Samples | None = None,
    progress: Progress | None = None,
    done: Store | None = None,
    backend: str = "compiled",
) -> Sweep:
    """Evaluate (see `evaluate`) at every combination of the values of one or two parameters.

        mho.machine.sweep(program, samples, analog, over={"adc.bits": [4, 5, 6], "device.programming.sigma": [0, 0.05]})

    Keys are those of `Analog.override`, or "chip." and a key of `Chip.override`; for the latter `program` is a function that
    takes the chip's changes and returns a program compiled for them. All values are checked before anything is executed.
    Raises OptionError for parameters that cannot be swept, and what `Analog.override` and `evaluate` raise.
    """
    swept = _checked(over)
    base = Analog() if analog is None else analog
    points = combinations(swept)
    variants = [base.override(changes) if changes else base for _, changes in map(split, points)]
    build = program if callable(program) else only(program)
    done = Store() if done is None else done
    ahead = [len(samples) * (seeds if draws(variant) else 1) for variant in variants]
    found: dict[int, Evaluation] = {}
    built: tuple[str, Program] | None = None
    executed = 0

    def tell(place: int, what: str, now: int, of_point: int) -> None:
        if progress is not None:
            rest = sum(ahead[other] for other in range(len(points)) if other not in found and other != place)
            where = f"point {len(found) + 1} of {len(points)}"
            progress(f"{where}: {what} ({named(points[place])})", executed + now, executed + of_point + rest)

    # Chip by chip, so that one program at a time is enough.
    chips = [json.dumps(split(values)[0], sort_keys=True) for values in points]
    for place in sorted(range(len(points)), key=lambda place: (chips.index(chips[place]), place)):
        if built is None or built[0] != chips[place]:
            tell(place, "compiling", 0, ahead[place])
            built = chips[place], build(split(points[place])[0])
        last = [0]

        def follow(what: str, now: int, of_point: int, place: int = place, last: list[int] = last) -> None:
            last[0] = of_point
            tell(place, what, now, of_point)

        found[place] = evaluate(
            built[1],
            samples,
            variants[place],
            seeds=seeds,
            calibration=calibration,
            progress=follow,
            done=done,
            backend=backend,
        )
        executed += last[0]
    return Sweep(swept, base, tuple(found[place] for place in range(len(points))))


def named(values: Mapping[str, Value]) -> str:
    """Write the values of a point: adc.bits=6, age_s=0."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _checked(over: Mapping[str, Sequence[Value]]) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    """Refuse a sweep over nothing, over more parameters than fit a table, over the seed, and values given twice."""
    if not 1 <= len(over) <= MOST:
        raise OptionError(f"a sweep is over one or two parameters, not {len(over)}")
    for key, values in over.items():
        if key == "seed":
            raise OptionError("a sweep over the seed is an evaluation with more seeds")
        if isinstance(values, str) or not values:
            raise OptionError(f"{key}: a sweep needs a list of values, not {values!r}")
        twice = [value for place, value in enumerate(values) if value in values[:place]]
        if twice:
            raise OptionError(f"{key}: {twice[0]!r} is given twice")
    return tuple((key, tuple(values)) for key, values in over.items())


def only(program: Program) -> Build:
    """Return what compiles for a chip without changes alone: the program that is there. OptionError for any change."""

    def build(changes: Mapping[str, Value]) -> Program:
        if changes:
            raise OptionError(
                f"{CHIP}{next(iter(changes))}: another chip needs another program; give a function that compiles one"
            )
        return program

    return build
