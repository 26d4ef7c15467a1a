"""Accuracy over one or two parameters of the analog side or of the chip."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.explore.accuracy import Accuracy, Judged, Subject, checked, counted, decibels
from mho.explore.evaluation import SEEDS, draws, evaluate
from mho.explore.judge import Progress
from mho.explore.parameters import CHIP
from mho.files.store import Store
from mho.machine.analog.spec import Analog
from mho.program import Program
from mho.shown import Columns, Shown, columns
from mho.version import __version__

if TYPE_CHECKING:
    from mho.network.samples import Samples

SCHEMA = "mho.sweep/1"
MOST = 2
"""Parameters of a sweep."""

STRATEGY = "strategy."
"""Before a field of the strategy, for which the network is compiled anew."""

Value = int | float | str
Build = Callable[[Mapping[str, Value]], Program]
"""Compiles with these values of the chip changed, and those of the strategy, which alone keep their prefix."""


@dataclass(frozen=True)
class Point(Judged):
    """What was found at one combination of values: accuracies by seed, and of each layer name, SNR in dB, share clipped."""

    values: Mapping[str, Value]
    chip: Mapping[str, str]
    draws: bool
    samples: int
    seeds: tuple[int, ...]
    right: tuple[int, ...]
    right_in_integers: int
    agreement: float
    clip_rate: float
    layers: tuple[tuple[str, float | None, float], ...]

    @classmethod
    def of(cls, values: Mapping[str, Value], found: Accuracy) -> Point:
        """Take what a sweep keeps of an accuracy."""
        layers = tuple((layer.name, decibels(layer), layer.clip_rate) for layer in found.layers)
        same = {
            name: getattr(found, name) for name in ("chip", "draws", "samples", "seeds", "right", "right_in_integers")
        }
        return cls(values=values, agreement=found.agreement, clip_rate=found.clip_rate, layers=layers, **same)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], samples: int) -> Point:
        """Rebuild what `to_dict` gave."""
        accuracy = content["accuracy"]
        return cls(
            **{key: content[key] for key in ("values", "chip", "draws", "agreement", "clip_rate")},
            samples=samples,
            seeds=tuple(content["seeds"]),
            right=counted(accuracy["by_seed"], samples),
            right_in_integers=round(accuracy["integers"] * samples),
            layers=tuple((layer["name"], layer["snr_db"], layer["clip_rate"]) for layer in content["layers"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "values": dict(self.values),
            "chip": dict(self.chip),
            "draws": self.draws,
            "seeds": list(self.seeds),
            "accuracy": {"integers": self.in_integers, **self.on_chips()},
            "agreement": self.agreement,
            "clip_rate": self.clip_rate,
            "layers": [{"name": name, "snr_db": ratio, "clip_rate": rate} for name, ratio, rate in self.layers],
        }


@dataclass(frozen=True, repr=False)
class Sweep(Shown):
    """Accuracies at every combination of the values of one or two parameters, the last parameter changing fastest.

        mho.explore.Sweep.from_dict(found.to_dict()) == found

    `analog` holds the values that are not swept; `subject` is that of the first point.
    """

    subject: Subject
    over: tuple[tuple[str, tuple[Value, ...]], ...]
    analog: Analog
    right_in_float: int | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]
    version: str = __version__

    def headline(self) -> str:
        """Say what was swept."""
        return f"Sweep: accuracy of {self.subject.model} over {' and '.join(key for key, _ in self.over)}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the least and the highest accuracy."""
        ordered = sorted(self.points, key=lambda point: point.accuracy)
        return tuple(
            (which, f"{100 * point.accuracy:.2f} % at {named(point.values)}")
            for which, point in (("lowest", ordered[0]), ("highest", ordered[-1]))
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `points`, one a row, and `layers`, one at each point a row."""
        points = [point.to_dict() for point in self.points]
        return {
            "points": lambda: columns(
                {**each["values"], **{key: each[key] for key in ("chip", "accuracy", "agreement", "clip_rate")}}
                for each in points
            ),
            "layers": lambda: columns({**each["values"], **layer} for each in points for layer in each["layers"]),
        }

    @property
    def in_float(self) -> float | None:
        """The accuracy of the float network; None where it is not known."""
        return None if self.right_in_float is None else self.right_in_float / self.subject.samples

    def to_dict(self) -> dict[str, Any]:
        """Return everything, safe for JSON."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            **self.subject.to_dict(),
            "analog": self.analog.to_dict(),
            "parameters": [{"key": key, "values": list(values)} for key, values in self.over],
            "accuracy": {"float": self.in_float},
            "points": [point.to_dict() for point in self.points],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Sweep:
        """Rebuild what `to_dict` gave. OptionError where it is of another schema."""
        subject, in_float = Subject.from_dict(checked(content, SCHEMA)), content["accuracy"]["float"]
        return cls(
            subject=subject,
            over=tuple((each["key"], tuple(each["values"])) for each in content["parameters"]),
            analog=Analog.from_dict(content["analog"]),
            right_in_float=None if in_float is None else round(in_float * subject.samples),
            points=tuple(Point.from_dict(each, subject.samples) for each in content["points"]),
            notes=tuple(content["notes"]),
            version=content["version"],
        )


def _notes(found: Sequence[Accuracy]) -> tuple[str, ...]:
    """Return the notes of all points, each once; of a note that not all have, at how many points it holds."""
    counts = Counter(each.converters["text"] for each in found if not each.resolved)
    counts.update(note for each in found for note in each.notes)
    points = len(found)
    return tuple(
        note if count == points else f"at {count} of {points} points: {note}" for note, count in counts.items()
    )


def combinations(over: Sequence[tuple[str, Sequence[Value]]]) -> list[dict[str, Value]]:
    """Return every combination of the parameters' values, the last parameter changing fastest."""
    keys = [key for key, _ in over]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*(values for _, values in over))]


def split(values: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Tell changes for which a network is compiled anew, as `Build` takes them, from changes of the analog side."""
    anew = {key.removeprefix(CHIP): value for key, value in values.items() if key.startswith((CHIP, STRATEGY))}
    return anew, {key: value for key, value in values.items() if not key.startswith((CHIP, STRATEGY))}


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

        mho.explore.sweep(program, samples, analog, over={"adc.bits": [4, 5, 6], "device.programming.sigma": [0, 0.05]})

    Keys are those of `Analog.override`, or "chip." and a key of `Chip.override`, or "strategy." and one of `Strategy.with_`; for
    these `program` is a function that takes the changes, see `Build`, and returns a program compiled for them. All values are
    checked before anything is executed. Raises OptionError for parameters that cannot be swept, and what `Analog.override` and
    `evaluate` raise.
    """
    swept = _checked(over)
    base = Analog() if analog is None else analog
    points = combinations(swept)
    variants = [base.override(changes) if changes else base for _, changes in map(split, points)]
    build = program if callable(program) else only(program)
    done = Store() if done is None else done
    ahead = [len(samples) * (seeds if draws(variant) else 1) for variant in variants]
    found: dict[int, Accuracy] = {}
    judge = partial(evaluate, seeds=seeds, calibration=calibration, done=done, backend=backend)
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

        found[place] = judge(built[1], samples, variants[place], progress=follow)
        executed += last[0]
    ordered = [found[place] for place in range(len(points))]
    kept = tuple(map(Point.of, points, ordered))
    return Sweep(ordered[0].subject, swept, base, ordered[0].right_in_float, kept, _notes(ordered))


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
        for key in changes:
            name, other = (key, "strategy") if key.startswith(STRATEGY) else (f"{CHIP}{key}", "chip")
            raise OptionError(f"{name}: another {other} needs another program; give a function that compiles one")
        return program

    return build
