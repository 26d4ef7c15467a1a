"""What would bring back the accuracy that converters lose: other ranges, bits and codings, each tried on a few samples.

Nothing here is a rule of thumb: every line is the accuracy of an execution, or follows from a proof (`proven_exact`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from mho.errors import MhoError
from mho.explore.accuracy import Accuracy
from mho.explore.evaluation import evaluate
from mho.explore.exploration import named
from mho.explore.judge import Progress
from mho.explore.remedy import Remedy
from mho.explore.sweeps import Build, Value, split
from mho.files.store import Store
from mho.machine.analog.converter import adc_bits
from mho.machine.analog.spec import Adc, Analog
from mho.machine.resolution import resolution
from mho.mapping import Mapper
from mho.program import Program

if TYPE_CHECKING:
    from mho.network.samples import Samples

TRIED_ON = 32
"""Samples on which each remedy is tried: they tell 10 % from 90 %, which is what is asked."""
PERCENTILE = 99.9
"""Of the sums of each slice of the weights that a calibrated range covers: the rarest ones are clipped for finer steps."""
NOTICED = 0.01
"""Share of samples lost from which on remedies are looked for."""

Judge = Callable[[Mapping[str, Value]], Accuracy]


def lossy(evaluation: Accuracy) -> bool:
    """Return whether converters that are not ideal lose accuracy worth looking for remedies."""
    return evaluation.analog.adc.bits != "ideal" and evaluation.in_integers - evaluation.accuracy > NOTICED


def advise(
    program: Program,
    build: Build,
    samples: Samples,
    evaluation: Accuracy,
    *,
    calibration: Samples | None = None,
    progress: Progress | None = None,
    done: Store | None = None,
    backend: str = "compiled",
) -> tuple[Remedy, ...]:
    """Try what could bring back the accuracy that an evaluation lost, on a few of its samples: as it is first, ideal ADCs next.

    `program` is what was evaluated; `build` compiles for changes of the chip, as for `sweep`, and what it refuses is left out.
    Other arguments as for `evaluate`.
    """
    batch, kept = program.network.batch, Store() if done is None else done
    few = samples.spread(-(-TRIED_ON // batch) * batch)

    def judge(changes: Mapping[str, Value]) -> Accuracy:
        chip, side = split(changes)
        varied_program = build(chip) if chip else program
        analog = varied(evaluation.analog, side) if side else evaluation.analog

        def tell(what: str, now: int, of_all: int) -> None:
            if progress is not None:
                progress(f"what would help: {named(changes) or 'as it is'}", now, of_all)

        return evaluate(
            varied_program, few, analog, seeds=1, calibration=calibration, progress=tell, done=kept, backend=backend
        )

    return tuple(_tried(program, evaluation.analog, judge))


def _tried(program: Program, analog: Analog, judge: Judge) -> Iterator[Remedy]:
    """Yield what was tried, what costs least first; more bits only until there are enough."""

    def tried(changes: Mapping[str, Value]) -> Remedy | None:
        try:
            judged = judge(changes)
        except MhoError:
            # A coding that does not fit this chip, or a device that does not fit the coding, is no remedy.
            return None
        return Remedy(changes, judged.right[0], judged.right_in_integers, judged.samples)

    calibrated: Mapping[str, Value] = {"adc.range": "calibrated"}
    bits, worst = adc_bits(analog, program.chip.array.adc_bits), resolution(program, analog).worst
    assert bits is not None
    needed = bits if worst is None else worst.bits
    sliced: Mapping[str, Value] = {**calibrated, "adc.per": "slice", "adc.percentile": PERCENTILE}
    candidates: list[Mapping[str, Value]] = [{}, {"adc.bits": "ideal", "adc.range": "full"}]
    candidates += [] if analog.adc.range == "calibrated" else [calibrated, sliced]
    if not program.chip.coding.pairs and program.strategy.get(Mapper).whole:
        candidates += [{"chip.array.coding": "differential", **sliced}]
    enough = False
    for changes in candidates:
        remedy = tried(changes)
        if remedy is not None:
            yield remedy
            enough |= remedy.enough and changes == calibrated
    for more in range(bits + 1, bits + 1 if enough else needed):
        remedy = tried({"adc.bits": more, **calibrated})
        if remedy is not None:
            yield remedy
            if remedy.enough:
                break
    if needed > bits:
        remedy = tried({"adc.bits": needed, "adc.range": "full"})
        if remedy is not None:
            yield remedy


def varied(analog: Analog, changes: Mapping[str, Value]) -> Analog:
    """Return an analog side with other keys of its ADC, and without what goes with the old ones alone."""
    adc = analog.adc.model_dump() | {key.removeprefix("adc."): value for key, value in changes.items()}
    if adc["range"] != "fixed":
        adc["limit"] = None
    if adc["range"] != "calibrated":
        adc |= {"percentile": None, "per": "layer"}
    if adc["bits"] == "ideal":
        adc |= {"gain_error": 0.0, "offset_error": 0.0, "effective_bits": None}
    limits = None if "adc.range" in changes else analog.limits
    return analog.model_copy(update={"adc": Adc(**adc), "limits": limits})
