"""What bits of layers leave of the accuracy: budgets of error beside uniform bits, on real data (docs/precision-accuracy.md).

Bits are chosen, ranges set and weights rounded by calibration samples; other samples judge. Each point is kept in a scratch file
as soon as it is measured, so that an interrupted run goes on where it stopped. Energy is that of arrays, drivers and converters
of `isaac`, sized to the network, in these very bits.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.accuracy import CASES, PIECE, Measurement, right
from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured, write_text
from benchmarks.subjects import Subjects
from benchmarks.tables import table

if TYPE_CHECKING:
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork

RESULTS = ROOT / "benchmarks" / "precision_accuracy.json"
PAGE = ROOT / "docs" / "precision-accuracy.md"
IMAGES = ROOT / "docs" / "images"
SCHEMA = "mho.precision-accuracy/1"
GOAL_BITS, GOAL_POINTS = 5.0, 0.5
"""Mean weight bits at which a network for CIFAR is to lose no more points of accuracy."""
WAYS = ("nearest", "sequence")
"""How weights are rounded: each by itself, or layer after layer by the outputs of those before."""
SAID = {"nearest": "to the nearest code", "sequence": "layer after layer"}
SHOWN = 3.0
"""Points of accuracy that what is drawn loses at most."""
SERIES = {False: "uniform", True: "chosen under a budget"}
WEIGHTS = ("3/8", "4/8", "5/8", "6/8")
BOTH = ("3", "4", "5", "6")


@dataclass(frozen=True)
class Subject:
    """A network, which samples judge, and what is measured beside 8 bits.

    `uniform`: bits of all layers, by the way of rounding; `budgets`: errors, by the way and the bits to choose from.
    """

    name: str
    judged: slice
    uniform: Mapping[str, tuple[str, ...]]
    budgets: Mapping[tuple[str, tuple[str, ...]], tuple[float, ...]]


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(
            "resnet20",
            slice(0, 2500),
            {"nearest": (*WEIGHTS, "4", "5", "6"), "sequence": ("3/8", "4/8", "4")},
            {
                ("nearest", WEIGHTS): (0.003, 0.01, 0.03),
                ("sequence", WEIGHTS): (0.003, 0.01, 0.03),
                ("sequence", BOTH): (0.01,),
            },
        ),
        Subject(
            "squeezenet1.1",
            slice(0, 200),
            {"nearest": ("4/8", "5/8", "6/8"), "sequence": ("3/8", "4/8", "5/8")},
            {("nearest", WEIGHTS): (0.01,)},
        ),
        # The first 50 samples calibrate.
        Subject("kwt1_core", slice(50, 250), {"nearest": ("4/8", "6/8")}, {("nearest", ("4/8", "6/8")): (0.01,)}),
        # Its file brings 8-bit codes of its tensors, which stay as they are.
        Subject(
            "mobilenet_v2_int8_qdq",
            slice(0, 200),
            {"nearest": ("4/8", "6/8")},
            {("nearest", ("4/8", "5/8", "6/8")): (0.01,)},
        ),
    )
}


class Run:
    """A subject with its network, the samples that calibrate, and those that judge."""

    def __init__(self, subject: Subject, data: Any) -> None:
        """Load them."""
        import mho
        from mho.network.samples import load_samples

        case = next(case for case in CASES if case.name == subject.name)
        run = Measurement(case, data)
        self.network = mho.number.uncoded(run.network) if case.quantised else run.network
        calibration = run.calibration or load_samples(data / "imagenet/calib32.npz", run.network)
        self.calibration: Samples = calibration
        self.images = tuple(array[subject.judged] for array in run.samples.inputs)
        assert run.samples.labels is not None
        self.labels = run.samples.labels[subject.judged]

    def coded(self, bits: str | tuple[str, ...], error: float | None, way: str) -> QuantisedNetwork:
        """Return the network in uniform bits, or in those of several that a budget chooses."""
        import mho
        from mho.number.budget import Budget
        from mho.number.recode import recode

        asked = bits if isinstance(bits, str) else Budget(error or 0.0, bits, way)
        coded = mho.number.quantise(self.network, self.calibration.inputs, per_channel=True, bits=asked)
        if isinstance(bits, str) and way != WAYS[0] and bits != "8":
            return recode(coded, "uniform", method=way, samples=self.calibration.inputs, per_channel=True)
        return coded

    def right(self, coded: QuantisedNetwork | None) -> str:
        """Say of each judging sample whether the network in codes, or in real numbers, has it right, as 0 and 1."""
        import mho

        said = ""
        for start in range(0, len(self.labels), PIECE):
            inputs = tuple(array[start : start + PIECE] for array in self.images)
            outputs = (
                mho.number.run_float(self.network, inputs, single=True)
                if coded is None
                else mho.number.run_reference(coded, inputs)
            )
            labels = self.labels[start : start + PIECE]
            said += right(self.network, outputs[self.network.outputs[0]], labels)
        return said


def energy(coded: QuantisedNetwork) -> float:
    """Return the energy in J of arrays, drivers and converters for one inference on isaac, sized to the network."""
    import mho
    from benchmarks.precision import WORK

    chip = mho.Chip.load("isaac")
    strategy = mho.Strategy().with_(schedule="overlap", banks="greedy")
    report = mho.simulate(mho.compile(coded, mho.schedule.sized(coded, chip, strategy), strategy))
    return math.fsum(report.account.by("component").get(component, 0.0) for component in WORK)


def points(subject: Subject) -> Iterator[tuple[str, Any, float | None, str]]:
    """Yield what is measured: a name, the bits, the budget of error, and how weights are rounded."""
    yield "8", "8", None, WAYS[0]
    for way, uniform in subject.uniform.items():
        yield from ((f"{bits}, {way}", bits, None, way) for bits in uniform)
    for (way, choices), errors in subject.budgets.items():
        what = "weights" if choices[0].endswith("/8") else "weights and inputs"
        yield from ((f"{what} within {error:g}, {way}", choices, error, way) for error in errors)


def measure(subject: Subject, data: Any) -> dict[str, Any]:
    """Measure all points of a network that the scratch file does not hold already."""
    from mho.number.budget import mean_weight_bits

    scratch = SCRATCH / f"precision-{subject.name}.json"
    mark = fingerprint((ROOT / "src" / "mho" / "number", ROOT / "src" / "mho" / "network"), repr(subject.judged))
    state = read_json(scratch)
    if state.get("fingerprint") != mark:
        state = {"fingerprint": mark, "points": {}}
    run = Run(subject, data)
    if "float" not in state:
        state["float"] = run.right(None)
    for name, bits, error, way in points(subject):
        if name not in state["points"]:
            sys.stderr.write(f"{subject.name}: {name}\n")
            coded = run.coded(bits, error, way)
            layers = list(coded.bits.values()) if coded.bits else []
            state["points"][name] = {
                "bits": bits if error is None else list(bits),
                "budget": error,
                "rounding": way,
                "weight_bits": mean_weight_bits(coded),
                "input_bits": input_bits(coded),
                "kinds": len({str(each) for each in layers}),
                "energy_j": energy(coded),
                "right": run.right(coded),
            }
            write_json(scratch, state)
    return {
        "calibration": run.calibration.origin,
        "float": state["float"],
        "points": {name: state["points"][name] for name, *_ in points(subject)},
    }


def input_bits(coded: QuantisedNetwork) -> float:
    """Return the bits of an input, on average over the products of all layers."""
    from mho.number.bits import BYTES

    layers = coded.network.matrix_layers
    bits = sum(layer.macs * coded.bits.get(layer.name, BYTES).inputs for layer in layers)
    return bits / sum(layer.macs for layer in layers)


def lost(found: dict[str, Any], name: str) -> float:
    """Return the points of accuracy that bits lose against real numbers, on the samples that judge."""
    counts = (found["float"].count("1"), found["points"][name]["right"].count("1"))
    return 100 * (counts[0] - counts[1]) / len(found["float"])


def _row(found: dict[str, Any], name: str) -> tuple[str, ...]:
    each, whole = found["points"][name], found["points"]["8"]
    pairs = list(zip(found["float"], each["right"], strict=True))
    differ = pairs.count(("1", "0")) + pairs.count(("0", "1"))
    count = len(pairs)
    return (
        name, f"{each['weight_bits']:.2f}", f"{each['input_bits']:.2f}", f"{100 * each['right'].count('1') / count:.2f}",
        f"{0 - lost(found, name):+.2f}".replace("-", "−"), f"{100 * differ**0.5 / count:.2f}", f"{1e6 * each['energy_j']:.1f}",
        f"{whole['energy_j'] / each['energy_j']:.2f}",
    )  # fmt: skip


def best(found: dict[str, Any], mixed: bool) -> str | None:
    """Return the point of fewest mean weight bits, inputs of 8, that loses at most GOAL_POINTS: of budgets, or of uniform bits."""
    fit = [
        name
        for name, each in found["points"].items()
        if (each["budget"] is not None) == mixed and lost(found, name) <= GOAL_POINTS and each["input_bits"] == 8
    ]
    return min(fit, key=lambda name: found["points"][name]["weight_bits"], default=None)


def _told(found: dict[str, Any], name: str | None) -> str:
    return "none" if name is None else f"{found['points'][name]['weight_bits']:.2f} ({name})"


def rendered(results: dict[str, Any]) -> str:
    """Return the tables."""
    networks = results["networks"]
    rows = [
        (name, str(len(found["float"])), _told(found, best(found, True)), _told(found, best(found, False)))
        for name, found in networks.items()
    ]
    head = ("network", "samples that judge", "chosen under a budget", "uniform")
    parts = [
        f"**Fewest mean weight bits that lose at most {GOAL_POINTS:g} points** against real numbers, inputs of 8 bits. Asked of a "
        f"network for CIFAR are {GOAL_BITS:g}. Which point that is, is seen on the samples that judge; the bits in it are not.",
        table(head, rows),
    ]
    heads = (
        "bits", "a weight", "an input", "right, %", "change", "its error", "arrays, drivers, ADCs, µJ", "÷ 8 bits",
    )  # fmt: skip
    for name, found in networks.items():
        count, correct = len(found["float"]), found["float"].count("1")
        parts.append(
            f"**{name}**: {count} samples judge, of which real numbers have {100 * correct / count:.2f} % right; calibrated on "
            f"{found['calibration']}."
        )
        parts.append(table(heads, [_row(found, point) for point in found["points"]]))
    parts.append(
        f"Drawn are the points of 8-bit inputs that lose at most {SHOWN:g} points; labels are mean bits of a weight."
    )
    parts += [f"![{file.removesuffix('.svg')}](images/{file})" for file in plots(results)]
    return "\n\n".join(parts)


def plots(results: dict[str, Any]) -> dict[str, str]:
    """Draw accuracy over mean weight bits, inputs of 8, for each way of rounding of the first network, by the name of the file."""
    from mho.report import sections as see
    from mho.report.plot import draw

    name, found = next(iter(results["networks"].items()))
    count = len(found["float"])
    level = 100 * found["float"].count("1") / count
    drawn = {}
    for way in WAYS:
        lines: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for each in found["points"].values():
            whole = each["bits"] == "8"
            if each["input_bits"] == 8 and (whole or each["rounding"] == way):
                point = (each["weight_bits"], 100 * each["right"].count("1") / count)
                for chosen in (False, True) if whole else (each["budget"] is not None,):
                    lines[chosen].append(point)
        lines = {chosen: sorted(at for at in all_ if at[1] >= level - SHOWN) for chosen, all_ in lines.items()}
        chart = see.Lines(
            title=f"{name}: accuracy by mean weight bits, rounded {SAID[way]}",
            series=[
                see.Series(SERIES[chosen], points, labels=[f"{bits:.3g}" for bits, _ in points])
                for chosen, points in lines.items()
            ],
            across=see.Axis("mean bits of a weight", 2.5, 8.5),
            up=see.Axis("right, %", level - SHOWN, level + 1),
            reference=(level, "real numbers"),
        )
        drawn[f"precision-{name}-{way}.svg"] = draw(chart)
    return drawn


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    return Subjects(
        "precision-accuracy",
        "Accuracy by bits of layers, chosen under budgets and uniform, on real data; writes docs/precision-accuracy.md and "
        "benchmarks/precision_accuracy.json. About half an hour. Interrupt it at will: the next call goes on from there.",
        RESULTS,
        SCHEMA,
        "networks",
        {name: partial(measure, subject) for name, subject in SUBJECTS.items()},
        written,
    ).main(arguments)


def written(found: dict[str, Any]) -> None:
    """Write page and plots."""
    write_measured(PAGE, rendered(found))
    for file, drawing in plots(found).items():
        write_text(IMAGES / file, drawing)


if __name__ == "__main__":
    raise SystemExit(main())
