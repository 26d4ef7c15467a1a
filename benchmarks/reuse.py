"""How many pulses aligned weights save on the real networks, and what they cost in accuracy (ARAS section V-C).

Each network is compiled for an ARAS chip of so few tiles that it exceeds it several times, as in the paper. The same program is
then given three sets of codes: those that quantising made, those shifted to the best centre, and those narrowed as well; each
in place, and placed for pulses, which changes no output. What was classified is kept in a scratch file, so that an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.accuracy import CASES, Case, data_folder
from benchmarks.accuracy import RESULTS as ACCURACY
from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured
from benchmarks.reuse_tables import CLOSEST, KINDS, met, percent, tables

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork
    from mho.program import Program

RESULTS = ROOT / "benchmarks" / "reuse.json"
PAGE = ROOT / "docs" / "reuse.md"
STAGES = "imagenet/resnet50v2_stage1to3_fp16.safetensors"
"""The trained stages of ResNet-50 v2 (mho.studies.stages)."""
SCHEMA = "mho.reuse/1"
SCHEDULE = "overlap"
TIMES = 4
"""How many times a network exceeds its chip at least, where a chip of one tile is small enough."""
GOAL, LOST = 0.17, 0.005
"""The goal: pulses saved (the mean of ARAS section VII-A), and the accuracy that may be lost, as shares."""
SCREENED, SCREENING = 1000, 40e9
"""Centres are chosen on the first SCREENED labelled samples, or on as many as take SCREENING multiply-accumulates if these are
more; the chosen one is then measured on all.
"""
PIECE = 250
"""Samples between two savings of partial results."""
QUARTILES = 1.349
"""Distance of a normal distribution's quartiles, in standard deviations."""
FEATURES = 8
"""Images that calibrate the network without a classifier, and other images on which the error of its output is measured."""
SPARE = {"imagenet/mobilenet_v2_int8_qdq.onnx": "imagenet/calib32.npz"}
"""Samples that neither calibrate nor judge a network, by file: `closest` goes by them."""
GRID = range(72, 193, 8)
"""Centres that `closest` looks at, beside no shift."""


def scaled_chip(blocks: int) -> Chip:
    """Return ARAS with so many tiles that a network of `blocks` groups exceeds it TIMES times."""
    from mho.chip import Chip

    chip = Chip.load("aras")
    tiles = max(1, blocks // (TIMES * chip.tile.groups))
    return chip.override({"tiles": tiles}, source=f"benchmark: exceeded about {TIMES} times")


def cells(program: Program) -> list[float]:
    """Level steps of one inference in steady state by cell of a weight, the most significant first, a weight addressed."""
    import numpy as np

    from mho.program.columns import WRITE, columns
    from mho.program.deltas import Deltas

    deltas = Deltas(program)
    writes = columns(program).of(WRITE).tolist()
    for number in writes:
        deltas.note(number)
    steps, weights = np.zeros(program.chip.cells_per_weight), 0
    for number in writes:
        for change in deltas.write(number) if number >= program.setup else ():
            apart = np.abs(change.added).reshape(-1, len(steps))
            steps += apart.sum(axis=0)
            weights += len(apart)
    return [float(each / weights) for each in steps]


def spread(quantised: QuantisedNetwork) -> float:
    """How wide the codes of a layer after the first are, as the standard deviation that normal codes of the same quartiles have.

    The mean over layers, weighted by their weights. Quartiles, unlike the deviation itself, tell where most codes are.
    """
    import numpy as np

    found = [quantised.matrices[layer.name].codes for layer in quantised.network.matrix_layers[1:]]
    widths = [float(np.subtract(*np.percentile(codes, (75, 25)))) / QUARTILES for codes in found]
    return float(np.average(widths, weights=[codes.size for codes in found]))


class Subject:
    """A network with its chip, its program, and samples if it has a classifier."""

    def __init__(self, case: Case | None, folder: Path) -> None:
        """Load, quantise and compile; no case means the stages of ResNet-50 v2."""
        import mho
        from mho.mapping import map_network
        from mho.network.samples import load_samples

        self.samples: Samples | None = None
        self.images: Any = None
        if case is None:
            from mho.studies.stages import images, stages

            self.network: Network = stages(folder)
            calibration = images(folder, "imagenet/calib32.npz", FEATURES)
            self.images = images(folder, "imagenet/val_a200.npz", FEATURES)
        else:
            self.network = mho.Network.from_onnx(folder / case.file)
            self.samples = load_samples(folder / case.data, self.network)
            calibration = None
            if case.calibration:
                calibration = load_samples(folder / case.calibration, self.network).first(case.calibrated).inputs
        self.quantised = mho.number.quantise(self.network, calibration)
        chip = scaled_chip(map_network(self.network, mho.Chip.load("aras")).count)
        self.program = mho.compile(self.quantised, chip, mho.Strategy().with_(schedule=SCHEDULE))
        assert not self.program.setup, f"{self.network.name} fits its chip"


def measure(
    case: Case | None, folder: Path, say: Callable[[str], None], held: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Measure one network; returns its record. What `held`, an earlier record, says of blocks in place is taken from there."""
    name = "resnet50v2_stages" if case is None else case.name
    scratch = SCRATCH / f"reuse-{name}.json"
    sources = [ROOT / "src" / "mho" / part for part in ("number", "network")]
    rules = [
        ROOT / "src" / "mho" / part for part in ("schedule/centre.py", "schedule/placement.py", "mapping/placement.py")
    ]
    mark = fingerprint(sources, *(rule.read_text(encoding="utf-8") for rule in rules), repr(case), str(SCREENED))
    state = read_json(scratch)
    if state.get("fingerprint") != mark:
        state = {"fingerprint": mark, "chosen": {}, "right": {}, "candidates": []}
    say(f"{name}: compiling")
    subject = Subject(case, folder)
    known = {each["file"]: each for each in read_json(ACCURACY).get("networks", [])}
    right = None if case is None else known[case.file]["right"]["tensor"]
    record = described(case, subject, right)
    same = held is None or all(record[key] == held[key] for key in ("blocks", "groups", "spread"))
    if held is not None and not (same and record["original"]["pulses"] == held["original"]["pulses"]):
        raise SystemExit(f"{name}: is no longer what {RESULTS.name} measured; measure it without --placed")
    record["original"]["placed"] = placed(subject, subject.quantised, 0.0, record["original"])
    for kind, low_cell in KINDS.items():
        if held is not None:
            state["chosen"][kind] = {key: held[kind][key] for key in ("centre", "by", "tried")}
        elif kind not in state["chosen"]:
            say(f"{name}: choosing a centre, {kind}")
            state["chosen"][kind] = chosen(subject, low_cell)
            write_json(scratch, state)
        record[kind] = judged(subject, kind, state, scratch, say, record["original"], held and held[kind])
    if not met(record) and record["file"] in SPARE:
        if CLOSEST not in state["chosen"]:
            state["chosen"][CLOSEST] = closest(subject, folder / SPARE[record["file"]], state, scratch, say)
            write_json(scratch, state)
        record[CLOSEST] = judged(subject, CLOSEST, state, scratch, say, record["original"])
    return record


def described(case: Case | None, subject: Subject, right: int | None) -> dict[str, Any]:
    """Record what is measured, and what its codes cost as they came."""
    from mho.schedule.centre import overwriting

    program = subject.program
    pulses, skip = overwriting(program)
    return {
        "file": STAGES if case is None else case.file,
        "network": program.network.name,
        "weights": program.network.weights,
        "blocks": program.mapping.count,
        "groups": program.chip.groups,
        "schedule": program.schedule,
        "samples": None if subject.samples is None else len(subject.samples),
        "screened": None if subject.samples is None else min(screened(subject), len(subject.samples)),
        "spread": spread(subject.quantised),
        "original": {
            "pulses": pulses, "skip_ratio": skip, "cells": cells(program), "right": right,
            "error": None if case else error(subject, subject.quantised),
        },
    }  # fmt: skip


def screened(subject: Subject) -> int:
    """Return on how many labelled samples a centre is chosen, where there are as many."""
    return max(SCREENED, int(SCREENING / subject.network.macs))


def chosen(subject: Subject, low_cell: str) -> dict[str, Any]:
    """Choose a centre: by accuracy on the first samples, or by clipped weights where there is no classifier."""
    from mho.schedule.centre import choose_centre

    samples = None if subject.samples is None else subject.samples.first(screened(subject))
    choice = choose_centre(subject.program, low_cell=low_cell, samples=samples)
    return {"centre": choice.taken.centre, "by": choice.by, "tried": len(choice.candidates)}


def closest(
    subject: Subject, spare: Path, state: dict[str, Any], scratch: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Choose the codes whose scores on samples that neither calibrate nor judge differ least from those of the codes as they came.

    Candidates are the centres of GRID and no shift, with either low_cell; of those that save enough pulses once placed. No label
    is looked at.
    """
    from dataclasses import replace

    import numpy as np

    import mho
    from mho.network.samples import load_samples
    from mho.schedule.centre import overwriting, prepared

    samples, name = load_samples(spare, subject.network), subject.network.outputs[0]
    before = overwriting(subject.program)[0]
    plain = mho.number.run_reference(subject.quantised, samples.inputs)[name]
    tried = [(low_cell, centre) for low_cell in KINDS.values() for centre in (None, *GRID)]
    for low_cell, centre in tried[len(state["candidates"]) :]:
        codes = prepared(subject.quantised, centre, low_cell, subject.program.chip.array.cell_bits)
        found: dict[str, Any] = {"low_cell": low_cell, "centre": centre, "difference": None}
        pulses = placed_pulses(replace(subject.program, quantised=codes))[0]
        if 1 - pulses / before >= GOAL:
            scores = mho.number.run_reference(codes, samples.inputs)[name]
            found["difference"] = float(np.linalg.norm(scores - plain) / np.linalg.norm(plain))
        say(f"{subject.network.name}: {found}, {percent(1 - pulses / before)} % saved once placed")
        state["candidates"].append(found)
        write_json(scratch, state)
    enough = [each for each in state["candidates"] if each["difference"] is not None]
    best = min(enough, key=lambda each: float(each["difference"]))
    by = f"least difference of scores on {samples.origin} ({len(samples)} samples)"
    return {**best, "by": by, "tried": len(tried), "enough": len(enough)}


def placed_pulses(program: Program) -> tuple[float, float]:
    """Return what `overwriting` says of a program once its blocks are placed for pulses."""
    from mho.schedule.centre import overwriting
    from mho.schedule.placement import place

    return overwriting(place(program, "pulses"))


def placed(subject: Subject, codes: QuantisedNetwork, lost: float | None, before: dict[str, Any]) -> dict[str, Any]:
    """Record what codes save once their blocks are placed for pulses; they compute the same, so they lose the same."""
    from dataclasses import replace

    pulses, skip = placed_pulses(replace(subject.program, quantised=codes))
    saved = 1 - pulses / before["pulses"]
    return {"pulses": pulses, "saved": saved, "skip_ratio": skip, "met": goal_met(saved, lost)}


def goal_met(saved: float, lost: float | None) -> bool:
    """Say whether shares of pulses saved and samples lost (None: there is no accuracy) meet the goal."""
    return saved >= GOAL and (lost is None or lost < LOST)


def judged(
    subject: Subject,
    kind: str,
    state: dict[str, Any],
    scratch: Path,
    say: Callable[[str], None],
    before: dict[str, Any],
    held: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Record what the chosen codes save, and what they lose on all samples; `held`, an earlier record, says the latter."""
    from dataclasses import replace

    from mho.network.samples import Samples
    from mho.number.accuracy import classified
    from mho.schedule.centre import overwriting, prepared

    choice = state["chosen"][kind]
    low_cell = choice["low_cell"] if kind == CLOSEST else KINDS[kind]
    codes = prepared(subject.quantised, choice["centre"], low_cell, subject.program.chip.array.cell_bits)
    program = replace(subject.program, quantised=codes)
    pulses, skip = overwriting(program)
    right, samples = None, subject.samples
    if held is not None:
        if held["pulses"] != pulses:
            raise SystemExit(
                f"{subject.network.name}: {kind} codes no longer cost what {RESULTS.name} says; measure them again"
            )
        right = held["right"]
    elif codes is subject.quantised:
        right = before["right"]
    elif samples is not None and samples.labels is not None:
        done: str = state["right"].get(kind, "")
        while len(done) < len(samples):
            say(f"{subject.network.name}: {kind}, sample {len(done)} of {len(samples)}")
            part = slice(len(done), len(done) + PIECE)
            piece = Samples(tuple(each[part] for each in samples.inputs), samples.labels[part], samples.origin)
            done += "".join("01"[int(each)] for each in classified(codes, piece))
            state["right"][kind] = done
            write_json(scratch, state)
        right = done.count("1")
    saved = 1 - pulses / before["pulses"]
    lost = None if right is None or samples is None else (before["right"] - right) / len(samples)
    return {
        **choice,
        "pulses": pulses,
        "saved": saved,
        "skip_ratio": skip,
        "cells": cells(program),
        "clipped_share": codes.alignment.clipped_share if codes.alignment else 0.0,
        "moved_share": sum((codes.alignment.moved or {}).values()) / codes.network.weights if codes.alignment else 0.0,
        "right": right,
        "lost": lost,
        "error": None if samples is not None else held["error"] if held else error(subject, codes),
        "met": goal_met(saved, lost),
        "placed": placed(subject, codes, lost, before),
    }


def error(subject: Subject, codes: QuantisedNetwork) -> float:
    """Root of the mean squared error of the output against float, over the root of its mean square."""
    import numpy as np

    import mho

    name = subject.network.outputs[0]
    real = mho.number.run_float(subject.network, subject.images)[name]
    integer = mho.number.run_reference(codes, subject.images)[name]
    return float(np.linalg.norm(integer - real) / np.linalg.norm(real))


def publish(records: list[dict[str, Any]]) -> None:
    """Write results and page; records of networks not measured now are kept."""
    from mho import __version__
    from mho.chip import Chip

    order = [*(case.file for case in CASES), STAGES]
    held = {each["file"]: each for each in read_json(RESULTS).get("networks", [])}
    held |= {each["file"]: each for each in records}
    results = {
        "schema": SCHEMA,
        "version": __version__,
        "goal": {"saved": GOAL, "lost": LOST},
        "pulses_per_level": Chip.load("aras").pulses_per_level,
        "networks": [held[file] for file in order if file in held],
    }
    write_json(RESULTS, results)
    write_measured(PAGE, tables(results))


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reuse",
        description="Measure the pulses that aligned weights save on the real networks; writes docs/reuse.md and "
        "benchmarks/reuse.json. Interrupt it at will: the next call goes on from there.",
        epilog="The data are found in the folder MHO_DATA, else in ../shared/data.",
    )
    names = [*(case.name for case in CASES), "resnet50v2_stages"]
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=names, help=f"measure this network alone: {', '.join(names)}"
    )
    parser.add_argument(
        "--placed",
        action="store_true",
        help="keep centres and accuracies of benchmarks/reuse.json; place its blocks anew",
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/reuse.json")
    asked = parser.parse_args(arguments)
    if asked.render:
        write_measured(PAGE, tables(read_json(RESULTS)))
        return 0
    folder = data_folder()

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    held = {each["file"]: each for each in read_json(RESULTS)["networks"]} if asked.placed else {}
    records = []
    for name, case in zip(names, (*CASES, None), strict=True):
        if asked.only is None or name in asked.only:
            records.append(measure(case, folder, say, held.get(STAGES if case is None else case.file)))
            publish(records)
            shares = ", ".join(f"{kind} {percent(records[-1][kind]['placed']['saved'])} % placed" for kind in KINDS)
            say(f"{name}: pulses saved: {shares}")
    for name in names:
        if asked.only is None or name in asked.only:
            (SCRATCH / f"reuse-{name}.json").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the next call goes on from here\n")
        sys.exit(130)
