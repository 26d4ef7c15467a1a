"""What the study measures: arrays in every way of using them, accuracy, and what the chips take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

import mho
from mho.mapping import Frontier, map_network
from mho.mapping.rivals import CompressedRows, compress_rows, pack_blocks, prune
from mho.network.samples import Samples
from mho.number import Planes
from mho.number.accuracy import predicted
from mho.studies.real import chosen
from mho.studies.sme.chips import squeezing
from mho.studies.sme.load import SEEDED, STAGES, StudiedNetwork, spread
from mho.studies.work import Work, measured

WINDOWS = (1, 2, 3, 4)
TOPS = (0, 1, 2, 3, 4)
BITS = 8
EVERYWHERE = (4.0, 3.5, 3.0, 2.5)
"""Planes that all layers take alike."""
ALIKE = ("resnet56", "densenet40fast", "resnet32")
"""Networks of many layers, of which only that is judged, to keep a study to an hour."""
LEFT_OUT = ("resnet8_fp32", "resnet20S", "kwt1_core")
"""Real networks that are not measured, for the same reason."""
COUNTED = ("densenet40fast",)
"""Real networks whose arrays are counted and whose accuracy is not measured, for the same reason."""
IN_SEQUENCE = 128
"""Samples on which layers are recoded one after another."""
PLANES = (6.0, 5.0, 4.5, 4.0, 3.5, 3.0, 2.5, 2.0)
"""Mean planes of the codings that layers choose from."""
BUDGETS = (0.004, 0.016, 0.064, 0.256)
"""Budgets of error, in shares of the variance of the network's output, at which a curve has its points."""
TURNS = 2
"""Blocks of a layer that may share an array where layers choose their codings."""
PRUNED = 0.3
"""Share of weights that PIM-Prune's rows and columns take away."""
STRIP = 16
"""Columns of cells that share their rows in SRE."""
SEEN = 32
"""Calibration samples by which a layer's coding is judged, at most so many MACS."""
MACS = 1.5e9
HOPELESS = 0.014
"""Share of the samples of a curve from which on a point is not tried on all samples."""
LIMIT = 0.003
"""Share of samples that may be lost."""
GRIDS = ((1, 0), (2, 0), (4, 0), *((3, top) for top in TOPS))
"""Windows and planes squeezed out whose accuracy is measured, by the paper's rules; for S = 3 by rounding for outputs, too."""
SMALLEST = ("resnet20",)
"""What a quick study counts without real data, with seeded weights."""
STEP = 100
"""Samples that are classified together."""


def networks(work: Work) -> tuple[str, ...]:
    """Return the networks that the study counts: real ones, a part of ResNet-50, and the paper's own with seeded weights."""
    real = tuple(network.name for network in chosen(work) if network.name not in LEFT_OUT)
    if work.settings.quick:
        return real or SMALLEST
    return (*real, *((STAGES,) if real else ()), *SEEDED)


def arrays_of(quantised: mho.number.QuantisedNetwork, turns: int = 1) -> int:
    """Count the arrays that squeezed mapping takes."""
    return map_network(quantised, squeezing(turns), mapping="squeezed", turns=turns).arrays


def squeezed(quantised: mho.number.QuantisedNetwork, significant: int, top: int) -> mho.number.QuantisedNetwork:
    """Return the network by the paper's rules: to the nearest weight of a window, planes squeezed out by dropping bits."""
    return dropped(mho.number.recode(quantised, mho.number.Grid.window(BITS, significant)), top)


def dropped(window: mho.number.QuantisedNetwork, top: int) -> mho.number.QuantisedNetwork:
    """Squeeze top planes out of weights of a window, as the paper does."""
    return mho.number.squeeze(window, top, tile=squeezing().array.columns) if top else window


def dense_arrays(quantised: mho.number.QuantisedNetwork, cells: int, packing: str = "diagonal") -> int:
    """Count the arrays of a dense mapping with so many cells of one bit a weight."""
    from mho.mapping.dense import dense_blocks
    from mho.mapping.shape import digits_shape

    wide = squeezing().array.columns // cells
    shape = replace(digits_shape(squeezing()), columns=wide, per_array=wide)
    return sum(
        dense_blocks(layer.groups, layer.rows, layer.columns, shape, packing == "diagonal").count
        for layer in quantised.network.matrix_layers
    )


@measured("arrays")
def counts(subject: StudiedNetwork) -> dict[str, Any]:
    """Count arrays of one network in every way."""
    quantised = subject.quantised
    array = squeezing().array
    record: dict[str, Any] = {
        "dense": dense_arrays(quantised, BITS),
        "separate": dense_arrays(quantised, BITS, "separate"),
        "pairs": dense_arrays(quantised, 2 * (BITS - 1)),
        "wide": dense_arrays(quantised, 2 * BITS),
        "wide-pairs": dense_arrays(quantised, 2 * (2 * BITS - 1)),
        "weights": quantised.network.weights,
        "layers": layers_of(quantised, array.rows),
        "lossless": arrays_of(quantised),
    }
    signed = {key: whole(matrix.centred) for key, matrix in quantised.matrices.items()}
    rows = [strips(weights) for weights in signed.values()]
    record["sre"] = sum(each.crossbars for each in rows)
    record["sre-stacked"] = sum(each.stacked for each in rows)
    wide = array.columns // BITS
    pruned = {key: prune(weights, PRUNED, array.rows, wide).matrices for key, weights in signed.items()}
    record["pruned"] = sum(pack_blocks(weights, array.rows, wide).crossbars for weights in pruned.values())
    return record


def strips(weights: npt.NDArray[np.int16]) -> CompressedRows:
    """Compress the rows of a layer's weights as SRE does, in strips of STRIP columns, planes and signs apart."""
    array = squeezing().array
    return compress_rows(
        weights, rows=array.rows, columns=array.columns, cell_bits=array.cell_bits, weight_bits=BITS,
        unit_rows=array.rows, unit_columns=STRIP, order="plane",
    )  # fmt: skip


def whole(weights: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Clip weights to sign and magnitude of 8 bits."""
    return np.clip(weights, 1 - 2 ** (BITS - 1), 2 ** (BITS - 1) - 1)


def layers_of(quantised: mho.number.QuantisedNetwork, rows: int) -> list[dict[str, Any]]:
    """Describe the layers: sizes, and arrays dense and squeezed without loss."""
    mapped = map_network(quantised, squeezing(), mapping="squeezed")
    plain = map_network(quantised, squeezing())
    return [
        {
            "name": layer.name, "matrices": layer.groups, "rows": layer.rows, "columns": layer.columns,
            "dense": int(before.blocks.arrays.sum()), "lossless": int(after.blocks.arrays.sum()),
        }
        for layer, before, after in zip(quantised.network.matrix_layers, plain.layers, mapped.layers, strict=True)
    ]  # fmt: skip


@measured("windows")
def windows(subject: StudiedNetwork) -> dict[str, Any]:
    """Count the arrays of one network for every window and every number of planes squeezed out, and bits of each plane."""
    quantised = subject.quantised
    record: dict[str, Any] = {"arrays": {}, "planes": {}}
    for significant in windows_of(subject.name):
        window = squeezed(quantised, significant, 0)
        record["arrays"] |= {f"{significant}/{top}": arrays_of(dropped(window, top)) for top in TOPS}
        record["planes"][str(significant)] = planes_of(window)
    record["planes"]["8-bit"] = planes_of(quantised)
    return record


def windows_of(name: str) -> tuple[int, ...]:
    """Return the windows that are counted: of networks with seeded weights, whose bits say little, one."""
    return WINDOWS[2:3] if name in SEEDED else WINDOWS


def planes_of(quantised: mho.number.QuantisedNetwork) -> list[dict[str, float]]:
    """Return, for each plane of magnitudes from the highest, the shares of weights and of array rows that have a bit there."""
    array = squeezing().array
    bits = np.zeros((BITS - 1, 4), dtype=np.int64)
    for matrix in quantised.matrices.values():
        magnitude = np.abs(whole(matrix.centred))
        starts = np.arange(0, magnitude.shape[2], array.columns)
        rows = np.bitwise_or.reduceat(magnitude, starts, axis=2)
        for place in range(BITS - 1):
            plane = BITS - 2 - place
            bits[place] += (
                np.count_nonzero(magnitude >> plane & 1), magnitude.size, np.count_nonzero(rows >> plane & 1), rows.size,
            )  # fmt: skip
    return [{"weights": float(a / b), "rows": float(c / d)} for a, b, c, d in bits]


def classified(quantised: mho.number.QuantisedNetwork, samples: Samples) -> npt.NDArray[np.int64]:
    """Return the classes that a program on squeezed planes gives, on ideal cells: it computes what the integers say."""
    program = mho.compile(quantised, squeezing(), mho.Strategy().with_(schedule="naive", mapping="squeezed"))
    executor = mho.machine.Executor(program)
    name = quantised.network.outputs[0]
    parts = []
    for first in range(0, len(samples), STEP):
        part = tuple(array[first : first + STEP] for array in samples.inputs)
        parts.append(predicted(executor.run(part)[name]))
    return np.concatenate(parts)


def judged(quantised: mho.number.QuantisedNetwork, samples: Samples) -> dict[str, Any]:
    """Count right answers, and keep the classes."""
    assert samples.labels is not None
    classes = classified(quantised, samples)
    return {"right": int((classes == samples.labels).sum()), "samples": len(samples), "classes": classes.tolist()}


@measured("accuracy, 8 bits")
def eight_bits(subject: StudiedNetwork) -> dict[str, Any]:
    """Judge the 8-bit network on few samples."""
    return judged(subject.quantised, subject.few)


@measured("accuracy, S = {0}, x = {1}")
def by_the_rules(subject: StudiedNetwork, significant: int, top: int) -> dict[str, Any]:
    """Judge a window and planes squeezed out by the paper's rules."""
    return judged(squeezed(subject.quantised, significant, top), subject.few)


@measured("accuracy, S = {0}, x = {1}, rounded for outputs")
def for_outputs(subject: StudiedNetwork, significant: int, top: int) -> dict[str, Any]:
    """Judge a window and planes squeezed out by rounding for outputs, and count the arrays."""
    coded = mho.number.recode(
        subject.quantised, mho.number.Grid.window(BITS, significant), method="output",
        samples=subject.moments, squeeze=top, tile=squeezing().array.columns,
    )  # fmt: skip
    return {**judged(coded, subject.few), "arrays": arrays_of(coded)}


def grid_accuracy(subject: StudiedNetwork) -> dict[str, dict[str, Any]]:
    """Judge the 8-bit network, and every window and number of planes by the paper's rules, and by rounding for outputs."""
    judgements = {"8-bit": eight_bits(subject)}
    for s, x in GRIDS:
        judgements[f"paper/{s}/{x}"] = by_the_rules(subject, s, x)
        if s == 3:
            judgements[f"output/{s}/{x}"] = for_outputs(subject, s, x)
    return judgements


@lru_cache(maxsize=1)
def recoded(subject: StudiedNetwork, picks: tuple[int, ...]) -> mho.number.QuantisedNetwork:
    """Recode the layers by the codings picked, one after another on what the recoded ones before them give."""
    names = [layer.name for layer in subject.network.matrix_layers]
    forms = {name: Planes(PLANES[k - 1]) for name, k in zip(names, picks, strict=True) if k}
    if not forms:
        return subject.quantised
    samples = spread(subject.calibration, IN_SEQUENCE).inputs
    return mho.number.recode(subject.quantised, forms, method="sequence", samples=samples)


class CodingCurve:
    """The codings of one network, its frontier, and the points of its curve."""

    def __init__(self, subject: StudiedNetwork) -> None:
        self.subject, self.name = subject, subject.name

    @cached_property
    def codings(self) -> list[mho.number.QuantisedNetwork]:
        """The network in 8 bits, and in ever fewer planes."""
        base = self.subject.quantised
        codings = [base]
        for planes in PLANES:
            self._say(f"recoding to {planes:g} planes")
            codings.append(mho.number.recode(base, Planes(planes), method="output", samples=self.subject.moments))
        return codings

    @cached_property
    def frontier(self) -> Frontier:
        """The cost of each layer in each coding, blocks sharing arrays."""

        def compute() -> dict[str, Any]:
            macs = max(self.subject.network.macs / self.subject.network.batch, 1)
            few = spread(self.subject.calibration, max(2, min(SEEN, int(MACS // macs))))
            costs = mho.mapping.frontier(self.codings, squeezing(TURNS), few.inputs, turns=TURNS, progress=self._say)
            return {"names": list(costs.names), "arrays": costs.costs.tolist(), "errors": costs.errors.tolist()}

        record = self.subject.measure("frontier", compute)
        return Frontier(tuple(record["names"]), np.array(record["arrays"], dtype=np.int64), np.array(record["errors"]))

    def _say(self, text: str) -> None:
        self.subject.work.say(f"{self.name}: {text}")

    def choices(self) -> list[tuple[int, ...]]:
        """Codings of all layers that are judged, each once: 8 bits, what budgets of error allow, and the same in all layers."""
        layers = len(self.subject.network.matrix_layers)
        picks = [(0,) * layers]
        if self.name not in ALIKE:
            picks += [self.frontier.within(budget) for budget in BUDGETS]
        picks += [(PLANES.index(planes) + 1,) * layers for planes in EVERYWHERE]
        return list(dict.fromkeys(picks))

    def points(self) -> list[dict[str, Any]]:
        """Judge all choices on as many samples as a curve needs."""
        return [self.judged(picks, self.subject.samples, "a curve") for picks in self.choices()]

    def judged(self, picks: Sequence[int], samples: Samples, label: str) -> dict[str, Any]:
        """Judge one choice of codings, and count its arrays with and without turns."""

        def compute() -> dict[str, Any]:
            coded = recoded(self.subject, tuple(picks))
            return {**judged(coded, samples), "arrays": arrays_of(coded, TURNS), "alone": arrays_of(coded)}

        key = "".join(map(str, picks))
        record = self.subject.measure(f"accuracy for {label}, codings {key}", compute)
        error = None if self.name in ALIKE else self.frontier.total(picks)[1]
        return {**record, "error": error, "picks": list(picks)}

    def best(self) -> dict[str, Any]:
        """Return the point of fewest arrays that loses no more than may be lost, judged on all samples.

        Points are tried from the fewest arrays on, leaving out those that lose far too much on the samples of the curve.
        """
        base = self.base()
        small = self.points()
        for point in sorted(small, key=lambda point: int(point["arrays"])):
            lost = small[0]["right"] - point["right"]
            if lost > max(3, HOPELESS * point["samples"]):
                continue
            verdict = self.judged(point["picks"], self.subject.all_samples, "all") if not self.subject.quick else point
            if base["right"] - verdict["right"] <= allowed(base["samples"]):
                return verdict
        return {**base, **{key: small[0][key] for key in ("arrays", "alone", "error", "picks")}}

    def base(self) -> dict[str, Any]:
        """Judge the network in 8 bits on all samples."""
        samples = self.subject.samples if self.subject.quick else self.subject.all_samples
        return self.subject.measure("accuracy for all, 8 bits", lambda: judged(self.subject.quantised, samples))


def allowed(samples: int) -> int:
    """Return how many samples may be lost net: those that are at most 0.3 points, and on few samples one."""
    return max(1, int(LIMIT * samples))


def agreement(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Return the share of samples that two networks put in the same class."""
    return float(np.mean(np.array(first["classes"]) == np.array(second["classes"])))
