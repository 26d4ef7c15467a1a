"""Accuracy of resnet20 on CIFAR-10 over ADC bits, variation and stuck cells, for two weight codings (docs/analog-resnet20.md).

Cells vary log-normally, in proportion to what they conduct; of the stuck ones half are on and half off. ADC ranges are calibrated
on exact cells, once, as a designer would. Finished points are kept: interrupted, the command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured
from benchmarks.tables import table

if TYPE_CHECKING:
    from mho.machine import Analog
    from mho.network.samples import Samples
    from mho.program import Program

RESULTS = ROOT / "benchmarks" / "analog_accuracy.json"
PAGE = ROOT / "docs" / "analog-resnet20.md"
SCHEMA = "mho.analog-accuracy/1"
BITS = (4, 5, 6, 7, 8, 9)
VARIATION = (0.0, 0.05, 0.1, 0.15, 0.2)
STUCK = (0.0, 0.001, 0.01)
CODINGS = {"offset": "offset coding", "differential": "differential pairs, symmetric weight codes"}
SAMPLES, SEEDS = 300, 2
CALIBRATION, WATCHED, PERCENTILE = 200, 64, 99.9
STEP = 50
"""Images that are run together."""


def data() -> Path:
    """Find the real data: MHO_DATA, else ../shared/data beside the project. SystemExit where there is none."""
    folder = Path(os.environ.get("MHO_DATA", ROOT.parent / "shared" / "data")) / "cifar10"
    if not folder.is_dir():
        raise SystemExit(f"benchmarks.analog_accuracy: no real data: {folder} is not a folder (set MHO_DATA)")
    return folder


def prepared(coding: str) -> tuple[Program, Samples, Analog]:
    """Compile for arrays as those of preset aras, of the given coding, with room for all of the network, and set ADC ranges."""
    import mho
    from mho.network.samples import load_samples

    folder = data()
    network = mho.Network.from_onnx(folder / "resnet20.onnx")
    calibration = load_samples(folder / "train_calib.npz", network).first(CALIBRATION)
    coded = mho.number.quantise(network, calibration.inputs, symmetric=coding == "differential")
    values = {"array.coding": coding, "tiles": 40}
    chip = mho.Chip.load("aras").override(values, source="room for all of resnet20")
    program = mho.compile(coded, chip, "overlap")
    analog = mho.machine.Analog.from_dict({"schema": "mho.analog/1", "device": "generic"}).override(
        {
            "adc.range": "calibrated",
            "adc.percentile": PERCENTILE,
            "adc.per": "slice",
            "device.programming.kind": "lognormal",
        }
    )
    analog = mho.machine.calibrate(program, calibration.first(WATCHED).inputs, analog)
    return program, load_samples(folder / "test_a.npz", network).spread(SAMPLES), analog


def right(program: Program, samples: Samples, analog: Analog) -> int:
    """Count the images that are classified rightly."""
    import mho

    executor, name = mho.machine.Executor(program, analog), program.network.outputs[0]
    found = 0
    assert samples.labels is not None
    for first in range(0, len(samples), STEP):
        part = tuple(each[first : first + STEP] for each in samples.inputs)
        scores = executor.run(part, first_sample=first)[name]
        found += int((scores.argmax(axis=1) == samples.labels[first : first + STEP]).sum())
    return found


def points() -> list[tuple[int, float, float, int]]:
    """Return what is measured for each coding; one seed where nothing is drawn."""
    return [
        (bits, variation, stuck, seed)
        for stuck in STUCK
        for variation in VARIATION
        for bits in BITS
        for seed in range(SEEDS if variation or stuck else 1)
    ]


def measure(coding: str) -> dict[str, int]:
    """Measure every point of a coding, keeping each as it is done."""
    import mho

    store = SCRATCH / f"analog_accuracy_{coding}.json"
    digest = fingerprint([ROOT / "src" / "mho"], f"{SAMPLES} {CALIBRATION} {WATCHED} {PERCENTILE}")
    kept = read_json(store)
    done: dict[str, int] = kept.get("done", {}) if kept.get("digest") == digest else {}
    program, samples, analog = prepared(coding)
    integers = mho.number.run_reference(program.quantised, samples.inputs)[program.network.outputs[0]]  # type: ignore[arg-type]
    done["integers"] = int((integers.argmax(axis=1) == samples.labels).sum())
    began = time.perf_counter()
    todo = [each for each in points() if str(each) not in done]
    for count, point in enumerate(todo, start=1):
        bits, variation, stuck, seed = point
        values = {
            "adc.bits": bits, "device.programming.sigma": variation, "device.stuck.on_share": stuck / 2,
            "device.stuck.off_share": stuck / 2, "seed": seed,
        }  # fmt: skip
        done[str(point)] = right(program, samples, analog.override(values))
        write_json(store, {"digest": digest, "done": done})
        left = (time.perf_counter() - began) / count * (len(todo) - count)
        print(f"{coding}: {count} of {len(todo)}, {left / 60:.0f} min left", file=sys.stderr, flush=True)
    return done


def rendered(results: dict[str, Any]) -> str:
    """Write the tables."""
    samples = results["samples"]
    parts = [
        f"{samples} images (a spread over `test_a.npz`); {results['seeds']} chips (seeds) where anything is drawn: their mean. "
        f"One image is {100 / samples:.2f} points; the 95 % interval of {samples} images at 90 % is about ± "
        f"{196 * (0.09 / samples) ** 0.5:.1f} points."
    ]
    for coding, name in CODINGS.items():
        done = results[coding]
        parts.append(f"### {name[0].upper()}{name[1:]}: 8-bit integers {done['integers'] / samples:.1%}")
        for stuck in STUCK:
            rows = []
            for bits in BITS:
                row = [f"{bits} bits"]
                for variation in VARIATION:
                    found = [
                        done[str((bits, variation, stuck, seed))]
                        for seed in range(results["seeds"] if variation or stuck else 1)
                    ]
                    row.append(f"{100 * sum(found) / len(found) / samples:.1f}")
                rows.append(row)
            head = [f"ADC, {stuck:.1%} stuck", *(f"{variation:.0%} variation" for variation in VARIATION)]
            parts.append(table(head, rows))
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analog_accuracy",
        description="Measure the accuracy of resnet20 on CIFAR-10 over ADC bits, variation and stuck cells; writes "
        "docs/analog-resnet20.md and benchmarks/analog_accuracy.json. About an hour on one core; resumes when called again.",
    )
    parser.add_argument(
        "--only",
        metavar="CODING",
        choices=CODINGS,
        help="measure one coding, and write nothing but what is kept for later",
    )
    parser.add_argument(
        "--render", action="store_true", help="write the tables again from benchmarks/analog_accuracy.json"
    )
    asked = parser.parse_args(arguments)
    # One thread; read when numpy is first imported.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if asked.only:
        measure(asked.only)
        return 0
    if asked.render:
        results = read_json(RESULTS)
    else:
        results = {
            "schema": SCHEMA,
            "samples": SAMPLES,
            "seeds": SEEDS,
            **{coding: measure(coding) for coding in CODINGS},
        }
        write_json(RESULTS, results)
    write_measured(PAGE, rendered(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
