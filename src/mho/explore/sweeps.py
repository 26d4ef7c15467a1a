"""Accuracy over one or two parameters of the analog side or of the chip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import product, starmap
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.explore.accuracy import Accuracy, decibels
from mho.explore.evaluation import SEEDS, Case, Evaluations
from mho.explore.exploration import Exploration, named
from mho.explore.judge import Progress
from mho.explore.parameters import CHIP
from mho.explore.space import check_values
from mho.explore.workers import Executor
from mho.files.store import Store
from mho.machine.analog.spec import Analog
from mho.program import Program
from mho.shown import Columns, columns

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


def point_of(values: Mapping[str, Value], evaluation: Accuracy) -> dict[str, Any]:
    """Return what a sweep keeps of an accuracy: those by seed, and of each layer its name, SNR in dB and share clipped."""
    return {
        "values": dict(values),
        "chip": dict(evaluation.chip),
        "draws": evaluation.draws,
        "seeds": list(evaluation.seeds),
        "accuracy": {"integers": evaluation.in_integers, **evaluation.on_chips()},
        "agreement": evaluation.agreement,
        "clip_rate": evaluation.clip_rate,
        "layers": [
            {"name": layer.name, "snr_db": decibels(layer), "clip_rate": layer.clip_rate} for layer in evaluation.layers
        ],
    }


class Sweep(Exploration):
    """Accuracies at every combination of the values of one or two parameters, the last parameter changing fastest.

        mho.explore.Sweep.from_dict(found.to_dict()) == found

    A record is a point, see `point_of`. The content says too what was judged on which samples, by the program of the first point,
    and under `analog` the values that are not swept.
    """

    schema = SCHEMA
    needs = (
        "version", "model", "weights_origin", "schedule", "strategy", "data", "samples", "analog", "parameters", "accuracy",
        "points", "notes",
    )  # fmt: skip

    @property
    def over(self) -> tuple[tuple[str, tuple[Value, ...]], ...]:
        """The parameters and their values."""
        return tuple((parameter["key"], tuple(parameter["values"])) for parameter in self.content["parameters"])

    def headline(self) -> str:
        """Say what was swept."""
        return f"Sweep: accuracy of {self.content['model']} over {' and '.join(key for key, _ in self.over)}"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the least and the highest accuracy."""
        ordered = sorted(self.records, key=lambda point: float(point["accuracy"]["mean"]))
        return tuple(
            (which, f"{100 * point['accuracy']['mean']:.2f} % at {named(point['values'])}")
            for which, point in (("lowest", ordered[0]), ("highest", ordered[-1]))
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `points`, one a row, and `layers`, one at each point a row."""
        keys = ("chip", "accuracy", "agreement", "clip_rate")
        return {
            "points": lambda: columns({**each["values"], **{key: each[key] for key in keys}} for each in self.records),
            "layers": lambda: columns({**each["values"], **layer} for each in self.records for layer in each["layers"]),
        }


def _notes(evaluations: Sequence[Accuracy]) -> tuple[str, ...]:
    """Return the notes of all points, each once; of a note that not all have, at how many points it holds."""
    counts = Counter(evaluation.converters["text"] for evaluation in evaluations if not evaluation.resolved)
    counts.update(note for evaluation in evaluations for note in evaluation.notes)
    points = len(evaluations)
    return tuple(
        note if count == points else f"at {count} of {points} points: {note}" for note, count in counts.items()
    )


def combinations(over: Sequence[tuple[str, Sequence[Value]]]) -> list[dict[str, Value]]:
    """Return every combination of the parameters' values, the last parameter changing fastest."""
    keys = [key for key, _ in over]
    return [dict(zip(keys, values, strict=True)) for values in product(*(values for _, values in over))]


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
    workers: int | Executor = 1,
) -> Sweep:
    """Evaluate (see `evaluate`) at every combination of the values of one or two parameters.

        mho.explore.sweep(program, samples, analog, over={"adc.bits": [4, 5, 6], "device.programming.sigma": [0, 0.05]})

    Keys are those of `Analog.override`, or "chip." and a key of `Chip.override`, or "strategy." and one of `Strategy.with_`; for
    these `program` is a function that takes the changes, see `Build`, and returns a program compiled for them, in this process;
    `workers` share the chips of all points. All values are checked before anything is executed. Raises OptionError for parameters
    that cannot be swept, and what `Analog.override` and `evaluate` raise.
    """
    swept = _checked(over)
    base = Analog() if analog is None else analog
    points = combinations(swept)
    chips = [json.dumps(split(values)[0], sort_keys=True) for values in points]
    build = program if callable(program) else only(program)
    judged = Evaluations(samples, seeds, calibration, progress, done, backend, workers)

    @lru_cache(maxsize=1)
    def compiled(first: int) -> Program:
        """Compile for a point and those on the same chip."""
        judged.tell(f"compiling ({named(points[first])})")
        return build(split(points[first])[0])

    def case(number: int, place: int) -> Case:
        changes = split(points[place])[1]

        def says(what: str) -> str:
            return f"point {number + 1} of {len(points)}: {what} ({named(points[place])})"

        program_of = partial(compiled, chips.index(chips[place]))
        return Case(program_of, base.override(changes) if changes else base, says)

    # Chip by chip, so that one program at a time is enough.
    order = sorted(range(len(points)), key=lambda place: (chips.index(chips[place]), place))
    evaluations = dict(zip(order, judged(list(starmap(case, enumerate(order)))), strict=True))
    return Sweep(_content(base, swept, points, [evaluations[place] for place in range(len(points))]))


def _content(
    analog: Analog,
    swept: Sequence[tuple[str, tuple[Value, ...]]],
    points: Sequence[Mapping[str, Value]],
    evaluations: Sequence[Accuracy],
) -> dict[str, Any]:
    """Return what was found at each point as data."""
    return {
        **evaluations[0].subject.to_dict(),
        "analog": analog.to_dict(),
        "parameters": [{"key": key, "values": values} for key, values in swept],
        "accuracy": {"float": evaluations[0].in_float},
        "points": list(map(point_of, points, evaluations)),
        "notes": _notes(evaluations),
    }


def _checked(over: Mapping[str, Sequence[Value]]) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    """Refuse a sweep over nothing, over more parameters than fit a table, over the seed, and values given twice."""
    if not 1 <= len(over) <= MOST:
        raise OptionError(f"a sweep is over one or two parameters, not {len(over)}")
    for key, values in over.items():
        if key == "seed":
            raise OptionError("a sweep over the seed is an evaluation with more seeds")
        check_values(key, values, "sweep")
    return tuple((key, tuple(values)) for key, values in over.items())


def only(program: Program) -> Build:
    """Return what compiles for a chip without changes alone: the program that is there. OptionError for any change."""

    def build(changes: Mapping[str, Value]) -> Program:
        for key in changes:
            name, other = (key, "strategy") if key.startswith(STRATEGY) else (f"{CHIP}{key}", "chip")
            raise OptionError(f"{name}: another {other} needs another program; give a function that compiles one")
        return program

    return build
