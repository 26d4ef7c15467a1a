"""Accuracy of resnet20 in pairs of published cells, beside a model of the same path of signals that shares nothing with mho.

The model is numpy and torch alone: it reads weights from the ONNX file, codes them in 8 bits around 0, puts each weight in one pair
of cells, draws their errors from the numbers of Milo et al., and sends images through, bit by bit of the inputs and 128 rows at a
time, with an ADC behind every pair. Inputs that may be negative are driven as codes whose zero point is taken out afterwards, or
with their signs. Results stand in docs/analog-pairs.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.analog_accuracy import data, right
from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "pairs_accuracy.json"
PAGE = ROOT / "docs" / "analog-pairs.md"
SCHEMA = "mho.pairs-accuracy/1"
SAMPLES, CHIPS, CALIBRATION, WATCHED, PERCENTILE, ROWS, ADC = 200, 20, 200, 64, 99.9, 128, 8
INPUTS = {"offset": "unsigned: codes and a zero point", "signed": "signed: rows driven either way"}
DEVICES = {
    "exact": "exact cells",
    "milo": "Milo et al.: 4.78 - 0.0091 G uS, 50 to 225 uS",
}
SPREADS = {"exact": 0.0, "milo": 1.0}


class Model:
    """The independent model; `signed` as the inputs are driven, `spread` times the published error of cells."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        import onnx
        import torch

        self.np, self.torch = np, torch
        graph = onnx.load(folder / "resnet20.onnx").graph
        held = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
        nodes = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
        self.mu, self.inv = (torch.from_numpy(held[name].copy()) for name in ("mu", "inv"))
        self.weights = [torch.from_numpy(held[node.input[1]].copy()) for node in nodes]
        self.biases = [torch.from_numpy(held[node.input[2]].copy()) for node in nodes]
        calibration = np.load(folder / "train_calib.npz")["x"][:CALIBRATION]
        self.ranges = [(0.0, 0.0)] * len(nodes)
        self.forward(calibration, self._watched)
        self.limits: dict[bool, list[float]] = {}
        for signed in (False, True):
            self.limits[signed] = [0.0] * len(nodes)
            cells = [self.pair(i, 0.0, None) for i in range(len(nodes))]
            self.forward(calibration[:WATCHED], self._crossbar(cells, signed, self._limited))

    def forward(self, images: Any, product: Callable[..., Any]) -> Any:
        """Scores of images (N, 32, 32, 3) uint8; `product(i, x, stride)` is the i-th product with weights, without bias."""
        torch = self.torch
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        counter = iter(range(len(self.weights)))

        def layer(x: Any, stride: int = 1) -> Any:
            i = next(counter)
            bias = self.biases[i][:, None, None] if x.ndim == 4 else self.biases[i]
            return product(i, x, stride) + bias

        x = torch.relu(layer((x - self.mu) * self.inv))
        for stage in range(3):
            for block in range(3):
                stride = 2 if stage and not block else 1
                beside = x[:, :, ::stride, ::stride]
                if stride == 2:
                    more = beside.shape[1] // 2
                    beside = torch.nn.functional.pad(beside, (0, 0, 0, 0, more, more))
                x = torch.relu(layer(torch.relu(layer(x, stride))) + beside)
        return layer(x.mean(dim=(2, 3)))

    def _laid(self, i: int, x: Any, stride: int) -> tuple[Any, tuple[int, ...]]:
        """Input vectors (windows, K) of a product, and the shape of what it gives."""
        if x.ndim == 2:
            return x, (len(x), len(self.weights[i]))
        unfolded = self.torch.nn.functional.unfold(x, 3, padding=1, stride=stride)
        size = -(-x.shape[2] // stride)
        return unfolded.transpose(1, 2).reshape(-1, unfolded.shape[1]), (len(x), size, size, len(self.weights[i]))

    def _back(self, y: Any, shape: tuple[int, ...]) -> Any:
        return y if len(shape) == 2 else y.reshape(shape).permute(0, 3, 1, 2)

    def _watched(self, i: int, x: Any, stride: int) -> Any:
        low, high = self.ranges[i]
        self.ranges[i] = (min(low, float(x.min())), max(high, float(x.max())))
        laid, shape = self._laid(i, x, stride)
        return self._back(laid @ self.weights[i].reshape(shape[-1], -1).T, shape)

    def pair(self, i: int, spread: float, source: Any) -> tuple[Any, Any, float]:
        """The integers of a layer's weights, (K, N), what its pairs show of them, and the scale of 1."""
        weights = self.weights[i].reshape(len(self.weights[i]), -1).T.numpy()
        scale = float(abs(weights).max()) / 127
        codes = self.np.rint(weights / scale)
        conducted = []
        for side in (codes, -codes):
            aimed = 50 + 175 * self.np.maximum(side, 0) / 127
            drawn = 0.0 if source is None else source.standard_normal(aimed.shape)
            conducted.append(self.np.maximum(aimed + spread * (4.782321 - 0.009107 * aimed) * drawn, 0))
        shown = (conducted[0] - conducted[1]) * 127 / 175
        return self.torch.from_numpy(codes), self.torch.from_numpy(shown).float(), scale

    def _limited(self, i: int, sums: Any, signed: bool) -> Any:
        flat = sums.abs().flatten().numpy()
        self._seen = [*getattr(self, "_seen", []), flat]
        return sums

    def _crossbar(self, cells: list[Any], signed: bool, convert: Callable[[int, Any, bool], Any]) -> Callable[..., Any]:
        torch, np = self.torch, self.np

        def product(i: int, x: Any, stride: int) -> Any:
            codes, shown, scale = cells[i]
            low, high = self.ranges[i]
            step = (high - low) / 255
            zero = round(-low / step)
            laid, shape = self._laid(i, torch.clamp(torch.round(x / step) + zero, 0, 255) - zero, stride)
            driven = laid if signed else laid + zero  # padding is a real 0
            magnitudes = driven.abs().to(torch.uint8)
            negative = bool(signed and (driven < 0).any())
            total = torch.zeros(len(laid), shape[-1], dtype=torch.float64)
            self._seen = []
            for first in range(0, laid.shape[1], ROWS):
                rows = slice(first, first + ROWS)
                for bit in range(8):
                    plane = ((magnitudes[:, rows] >> bit) & 1).float()
                    plane = plane * driven[:, rows].sign() if negative else plane
                    total += convert(i, plane @ shown[rows], signed) * 2**bit
            if convert == self._limited:
                self.limits[signed][i] = float(np.percentile(np.concatenate(self._seen), PERCENTILE))
            if not signed:
                total -= zero * codes.sum(dim=0)
            return self._back((total * (step * scale)).float(), shape)

        return product

    def right(self, images: Any, labels: Any, signed: bool, spread: float, chip: int) -> int:
        """Count the images that a chip classifies rightly."""
        source = self.np.random.default_rng([77, chip])
        cells = [self.pair(i, spread, source if spread else None) for i in range(len(self.weights))]
        most = 2 ** (ADC - 1) - 1

        def convert(i: int, sums: Any, signed: bool) -> Any:
            worth = max(self.limits[signed][i] / most, 0.0 if spread else 1.0)
            return self.torch.clamp(self.torch.round(sums / worth), -most, most) * worth

        found = 0
        for first in range(0, len(images), 50):
            scores = self.forward(images[first : first + 50], self._crossbar(cells, signed, convert)).numpy()
            found += int((scores.argmax(axis=1) == labels[first : first + 50]).sum())
        return found


def ours(folder: Path, kind: str) -> tuple[Any, Any, Any]:
    """The program, the samples and the analog side with its ranges, as mho says the same path."""
    import mho
    from mho.network.samples import load_samples

    network = mho.Network.from_onnx(folder / "resnet20.onnx")
    calibration = load_samples(folder / "train_calib.npz", network).first(CALIBRATION)
    quantised = mho.number.quantise(network, calibration.inputs, symmetric=True)
    values = {
        "array.coding": "sign_magnitude", "array.cell_bits": 7, "array.pulses_full_range": 127, "array.adc_bits": ADC,
        "array.input_coding": kind, "tiles": 40, "components.adc": "none",
    }  # fmt: skip
    chip = mho.Chip.load("aras").override(values, source="a weight in one pair, as the model beside has it")
    # One copy of each layer, as the model has.
    program = mho.compile(quantised, chip, "naive")
    analog = mho.machine.Analog.from_dict({"schema": "mho.analog/1", "device": "hfox"}).override(
        {"adc.range": "calibrated", "adc.percentile": PERCENTILE, "device.validity.cell_bits": 8}
    )
    exact = analog.override({"device.programming.sigma": 0.0})
    limits = mho.machine.calibrate(program, calibration.first(WATCHED).inputs, exact).limits
    samples = load_samples(folder / "test_a.npz", network).spread(SAMPLES)
    return program, samples, analog.model_copy(update={"limits": limits})


def measure(kind: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Count the images classified rightly on every chip, by mho and by the model, of each device."""
    import numpy as np

    folder, store = data(), SCRATCH / f"pairs_accuracy_{kind}.json"
    digest = fingerprint([ROOT / "src" / "mho"], kind, Path(__file__).read_text(encoding="utf-8"))
    kept = read_json(store)
    done: dict[str, list[int]] = kept.get("done", {}) if kept.get("digest") == digest else {}
    program, samples, analog = ours(folder, kind)
    model, test = Model(folder), np.load(folder / "test_a.npz")
    places = np.arange(SAMPLES) * len(test["y"]) // SAMPLES
    if not np.array_equal(test["y"][places], samples.labels):
        raise SystemExit("benchmarks.pairs_accuracy: mho and the model take other images")
    sigma = {"polynomial": [4.782321, -0.009107], "argument": {"per": 1, "unit": "uS"}, "unit": "uS"}
    for device, spread in SPREADS.items():
        scaled = {**sigma, "polynomial": [spread * each for each in sigma["polynomial"]]}  # type: ignore[union-attr]
        for chip in range(CHIPS if spread else 1):
            if (key := f"{device}/{chip}") not in done:
                own = analog.override({"device.programming.sigma": scaled, "seed": chip})
                done[key] = [
                    right(program, samples, own),
                    model.right(test["x"][places], samples.labels, kind == "signed", spread, chip),
                ]
                write_json(store, {"digest": digest, "done": done})
                say(f"{kind} {key}: mho {done[key][0]}, model {done[key][1]} of {SAMPLES}")
    return done


def rendered(results: dict[str, Any]) -> str:
    """Write the table."""
    samples, rows = results["samples"], []
    for kind, inputs in INPUTS.items():
        for device, words in DEVICES.items():
            pairs = [found for key, found in results[kind].items() if key.startswith(f"{device}/")]
            means = [100 * statistics.fmean(side) / samples for side in zip(*pairs, strict=True)]
            spreads = [100 * statistics.pstdev(side) / samples for side in zip(*pairs, strict=True)]
            told = [
                f"{mean:.1f} ± {spread:.1f}" if len(pairs) > 1 else f"{mean:.1f}"
                for mean, spread in zip(means, spreads, strict=True)
            ]
            rows.append([inputs, words, str(len(pairs)), *told, f"{means[0] - means[1]:+.1f}"])
    head = ["inputs", "cells", "chips", "mho, %", "model, %", "apart"]
    return f"{samples} images of `test_a.npz`; ± is the deviation from chip to chip.\n\n{table(head, rows)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pairs_accuracy",
        description="Measure the accuracy of resnet20 in pairs of published cells by mho and by an independent model; writes "
        "docs/analog-pairs.md and benchmarks/pairs_accuracy.json. Half an hour on one core; resumes when called again.",
    )
    parser.add_argument(
        "--only",
        metavar="KIND",
        choices=INPUTS,
        help="measure one kind of inputs, and write nothing but what is kept for later",
    )
    parser.add_argument(
        "--render", action="store_true", help="write the table again from benchmarks/pairs_accuracy.json"
    )
    asked = parser.parse_args(arguments)
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if asked.only:
        measure(asked.only, _say)
        return 0
    if asked.render:
        results = read_json(RESULTS)
    else:
        told = {kind: measure(kind, _say) for kind in INPUTS}
        results = {"schema": SCHEMA, "samples": SAMPLES, **told}
        write_json(RESULTS, results)
    write_measured(PAGE, rendered(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
