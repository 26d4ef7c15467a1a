"""Accuracy of 8-bit integers on the real data: float, one weight code per tensor, one per output channel.

Each network's results are kept image by image in a scratch file while they are measured, so that an interrupted run goes on
where it stopped, and so that float and integers are compared on the same images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.files import ROOT, SCRATCH, fingerprint, read_json, write_json, write_measured
from benchmarks.tables import accuracy_table

if TYPE_CHECKING:
    from mho.network import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork

RESULTS = ROOT / "benchmarks" / "accuracy.json"
PAGE = ROOT / "docs" / "accuracy.md"
SCHEMA = "mho.benchmark-accuracy/1"
PIECE = 250
"""Samples between two savings of partial results."""
EXECUTED = 2
"""Samples on which programs are executed cell by cell."""


@dataclass(frozen=True)
class Case:
    """A network file, its data, and what is known of it.

    `stated`: the top-1 accuracy in percent that the data's README states for exactly these samples. `limit`: how many points
    below it the integers may be. `quantised`: the file brings its own codes. `tiles`: size of the chip for execution, so small
    that the network does not fit. `calibrated` is the number of samples that calibrate.
    """

    file: str
    data: str
    calibration: str
    calibrated: int
    stated: float
    limit: float
    tiles: int = 2
    quantised: bool = False

    @property
    def name(self) -> str:
        """The file's name without folder and ending."""
        return Path(self.file).stem


def _cifar(name: str, stated: float, tiles: int = 2, quantised: bool = False) -> Case:
    return Case(
        f"cifar10/{name}.onnx",
        "cifar10/test_a.npz",
        "" if quantised else "cifar10/train_calib.npz",
        0 if quantised else 256,
        stated,
        0.5,
        tiles,
        quantised,
    )


CASES = (
    _cifar("resnet8_fp32", 87.60, tiles=1),
    _cifar("resnet20", 91.62),
    _cifar("resnet20S", 91.10),
    _cifar("resnet32", 92.72),
    _cifar("resnet56", 93.30),
    _cifar("densenet40fast", 94.88),
    Case("imagenet/squeezenet1.1.onnx", "imagenet/val_a200.npz", "imagenet/calib32.npz", 32, 69.00, 1.5),
    Case("kws/kwt1_core.onnx", "kws/kwt_mfcc_a500.npz", "kws/kwt_mfcc_a500.npz", 50, 93.60, 1.5),
    _cifar("resnet8_int8_qdq", 87.30, tiles=1, quantised=True),
    Case("imagenet/mobilenet_v2_int8_qdq.onnx", "imagenet/val_a200.npz", "", 0, 76.50, 0.5, 2, True),
    Case("kws/dscnn_int8_qdq.onnx", "kws/dscnn_mfcc_a500.npz", "", 0, 89.40, 0.5, 1, True),
)

EXPLANATIONS: dict[str, str] = {}
"""Why a goal that is missed is missed, by file."""


FOLDER = Path(os.environ.get("MHO_DATA", ROOT.parent / "shared" / "data"))
"""Where the real data are: MHO_DATA, else ../shared/data beside the project."""


def found_data() -> Path | None:
    """Return the folder of the real data, None where there is none."""
    return FOLDER if FOLDER.is_dir() else None


def data_folder() -> Path:
    """Return the folder of the real data. SystemExit where there is none."""
    folder = found_data()
    if folder is None:
        raise SystemExit(f"benchmarks.accuracy: no real data: {FOLDER} is not a folder (set MHO_DATA)")
    return folder


def right(network: Network, scores: Any, labels: Any) -> str:
    """Say of each sample whether the highest score is its label's, as a string of 0 and 1."""
    flat = scores.reshape(len(labels), -1)
    # Networks with 1001 outputs count a background class before the 1000.
    found = flat.argmax(axis=1) == labels.astype(int) + (flat.shape[1] == 1001)
    return "".join("1" if each else "0" for each in found)


class Measurement:
    """One network on its data. Networks are quantised when first needed, so that a finished part costs nothing again."""

    def __init__(self, case: Case, folder: Path) -> None:
        """Load the network and its samples."""
        import mho
        from mho.network.samples import load_samples

        self.case = case
        self.network: Network = mho.Network.from_onnx(folder / case.file)
        self.samples: Samples = load_samples(folder / case.data, self.network)
        self.calibration = (
            load_samples(folder / case.calibration, self.network).first(case.calibrated) if case.calibration else None
        )
        self._quantised: dict[bool, QuantisedNetwork] = {}

    def quantised(self, per_channel: bool) -> QuantisedNetwork:
        """Return the network as integers."""
        import mho

        if per_channel not in self._quantised:
            given = None if self.calibration is None else self.calibration.inputs
            self._quantised[per_channel] = mho.number.quantise(self.network, given, per_channel=per_channel)
        return self._quantised[per_channel]

    def scores(self, kind: str, start: int, stop: int) -> Any:
        """Compute the outputs of samples `start` to `stop`: "float", "tensor" or "channel"."""
        import mho

        inputs = tuple(array[start:stop] for array in self.samples.inputs)
        if kind == "float":
            outputs = mho.number.run_float(self.network, inputs, single=True)
        else:
            outputs = mho.number.run_reference(self.quantised(kind == "channel"), inputs)
        return outputs[self.network.outputs[0]]

    def verdicts(self) -> dict[str, Any]:
        """Execute programs on a chip that is too small for the network, and compare bit for bit."""
        import mho

        chip = mho.Chip.load("aras").override(
            {"tiles": self.case.tiles}, source="benchmark: so small that cells are overwritten"
        )
        inputs = self.samples.first(EXECUTED).inputs
        found: dict[str, Any] = {}
        for per_channel in (False,) if self.case.quantised else (False, True):
            for schedule in ("naive", "overlap"):
                program = mho.compile(self.quantised(per_channel), chip, mho.Strategy().with_(schedule=schedule))
                verdict = mho.verify(program, inputs)
                codes = "as in the file" if self.case.quantised else "channel" if per_channel else "tensor"
                found[f"{schedule}, {codes}"] = {
                    "ok": verdict.ok,
                    "text": str(verdict),
                    "resident": program.setup > 0,
                    "blocks": program.mapping.count,
                    "groups": chip.groups,
                }
        return found


def measure(case: Case, folder: Path, say: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Measure one network, going on from its scratch file if the code is the same; returns its record."""
    scratch = SCRATCH / f"accuracy-{case.name}.json"
    sources = (ROOT / "src" / "mho" / "number", ROOT / "src" / "mho" / "network")
    mark = fingerprint(sources, repr(case))
    state = read_json(scratch)
    if state.get("fingerprint") != mark:
        state = {"fingerprint": mark, "right": {}, "verified": None}
    run = Measurement(case, folder)
    labels = run.samples.labels
    assert labels is not None
    kinds = ("float", "tensor") if case.quantised else ("float", "tensor", "channel")
    total = len(kinds) * len(labels)
    for kind in kinds:
        done: str = state["right"].get(kind, "")
        while len(done) < len(labels):
            start, stop = len(done), min(len(done) + PIECE, len(labels))
            say(f"{case.name} {kind}", sum(map(len, state["right"].values())), total)
            done += right(run.network, run.scores(kind, start, stop), labels[start:stop])
            state["right"][kind] = done
            write_json(scratch, state)
    if state["verified"] is None:
        say(f"{case.name} executed cell by cell", total, total)
        state["verified"] = run.verdicts()
        write_json(scratch, state)
    return record(case, state["right"], state["verified"])


def record(case: Case, found: dict[str, str], verified: dict[str, Any]) -> dict[str, Any]:
    """Gather what was measured of one network. Counts are of samples whose highest score is the label's."""
    count = len(found["float"])
    stated = round(case.stated * count / 100)
    changes = {}
    for kind in found:
        if kind != "float":
            pairs = list(zip(found["float"], found[kind], strict=True))
            changes[kind] = {"lost": pairs.count(("1", "0")), "won": pairs.count(("0", "1"))}
    codes = "the file's own" if case.quantised else f"the first {case.calibrated} of {case.calibration}"
    return {
        "file": case.file,
        "data": case.data,
        "calibration": codes,
        "quantised_file": case.quantised,
        "samples": count,
        "stated_percent": case.stated,
        "right": {"stated": stated, **{kind: each.count("1") for kind, each in found.items()}},
        "against_float": changes,
        "limit_points": case.limit,
        "met": {kind: met(each.count("1"), stated, count, case) for kind, each in found.items() if kind != "float"},
        **held_out(case, found),
        "explanation": EXPLANATIONS.get(case.file),
        "verified": verified,
    }


def held_out(case: Case, found: dict[str, str]) -> dict[str, Any]:
    """Count again without the samples that calibrated, where these are among those measured; else nothing."""
    if case.calibration != case.data:
        return {}
    rest = {kind: each[case.calibrated :] for kind, each in found.items()}
    counts = {kind: each.count("1") for kind, each in rest.items()}
    return {"held_out": {"samples": len(rest["float"]), "right": counts}}


def met(right: int, stated: int, count: int, case: Case) -> bool:
    """Whether integers are close enough to the stated accuracy; a file with its own codes must also not exceed it by more."""
    below = 100 * (stated - right)
    within = below <= case.limit * count
    return within and (not case.quantised or -below <= case.limit * count)


def publish(records: list[dict[str, Any]]) -> None:
    """Write the results and the table, in the order of CASES; records of networks not measured now are kept."""
    from mho import __version__

    held = {each["file"]: each for each in read_json(RESULTS).get("networks", [])}
    held |= {each["file"]: each for each in records}
    results = {
        "schema": SCHEMA,
        "version": __version__,
        "networks": [held[case.file] for case in CASES if case.file in held],
    }
    write_json(RESULTS, results)
    write_measured(PAGE, accuracy_table(results))


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description="Measure the accuracy of 8-bit integers on the real data; writes docs/accuracy.md and "
        "benchmarks/accuracy.json. Interrupt it at will: the next call goes on from there.",
        epilog="The data are found in the folder MHO_DATA, else in ../shared/data.",
    )
    names = [case.name for case in CASES]
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=names, help=f"measure this network alone: {', '.join(names)}"
    )
    parser.add_argument("--render", action="store_true", help="write the table again from benchmarks/accuracy.json")
    chosen = parser.parse_args(arguments)
    if chosen.render:
        write_measured(PAGE, accuracy_table(read_json(RESULTS)))
        return 0
    folder = data_folder()
    cases = [case for case in CASES if chosen.only is None or case.name in chosen.only]

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    records = []
    with Progress(*columns, console=Console(stderr=True)) as bar:
        for case in cases:
            task = bar.add_task(case.name, total=None)

            def say(text: str, done: int, total: int, task: Any = task) -> None:
                bar.update(task, description=text, completed=done, total=total)

            records.append(measure(case, folder, say))
            publish(records)
            samples = records[-1]["samples"]
            shares = ", ".join(f"{kind} {100 * n / samples:.2f}" for kind, n in records[-1]["right"].items())
            bar.console.print(f"{case.name}: {shares}", highlight=False)
    for case in cases:
        (SCRATCH / f"accuracy-{case.name}.json").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the next call goes on from here\n")
        sys.exit(130)
