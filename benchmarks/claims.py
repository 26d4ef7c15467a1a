"""What the energies of the systems that mho is built of rest on: each claim as an interval, with a verdict (docs/claims.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.files import ROOT, write_measured
from benchmarks.subjects import Subjects
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "claims.json"
PAGE = ROOT / "docs" / "claims.md"
SCHEMA = "mho.claims/1"
DRAWS, SEED = 20_000, 0
FLIPS = 3
"""Constants that are named where one alone turns a comparison round."""
Measured = Mapping[str, Any]
"""Of a subject, what has a bill, by the name of the design."""


@dataclass(frozen=True)
class Claim:
    """That one design of a subject takes less energy than another, and on what that is measured."""

    subject: str
    less: str
    over: str
    on: str


def basis(data: Path) -> Measured:
    """Return ResNet-50 on a basis of 512 vectors, rewritten without a basis, and pruned on lanes alone."""
    import mho
    from mho.studies.basisn import pruned
    from mho.studies.basisn.chips import TILES
    from mho.studies.basisn.measure import BANKS, DESIGNS, EFFORT

    network, arrays = mho.zoo.load("resnet50"), max(TILES)
    kept, _ = pruned.EQUAL[network.name]
    plan = mho.Strategy().with_(schedule="adaptive", effort=EFFORT, banks=BANKS)
    units = mho.Strategy.load("basisn").with_(basis="units", nonzeros=kept, banks=BANKS)
    lanes = mho.simulate(mho.compile(network, pruned.lanes_alone(arrays), units))
    return {
        "on a basis": mho.simulate(mho.compile(network, "basisn", DESIGNS["n512k32"].strategy())),
        "adaptive": mho.simulate(mho.compile(network, "aras", plan)),
        "pruned": SimpleNamespace(program=lanes.program, bill=pruned.bill(lanes)),
    }


def squeezed(data: Path) -> Measured:
    """Return ResNet-20 of real weights, dense and with its bit planes squeezed, on chips of the same parts: computing alone."""
    import mho
    from mho.mapping import map_network
    from mho.network.samples import load_samples
    from mho.schedule.compile import coded
    from mho.studies.sme.chips import dense, squeezing

    network = mho.Network.from_onnx(data / "cifar10/resnet20.onnx")
    samples = load_samples(data / "cifar10/train_calib.npz", network).spread(512)
    codes = mho.number.quantise(network, samples.inputs, per_channel=True, symmetric=True)
    few = coded(mho.number.Sampled(network, calibration=samples), squeezing(), mho.Strategy.load("sme"))

    def on(codes: mho.number.QuantisedNetwork, chip: mho.Chip, mapping: str) -> Any:
        tiles = -(-map_network(codes, chip, mapping=mapping).arrays // chip.tile.groups)
        sized = chip.override({"tiles": tiles}, source="as many tiles as the network fills")
        return computing(
            mho.simulate(mho.compile(codes, sized, mho.Strategy().with_(schedule="naive", mapping=mapping)))
        )

    return {
        "lossless": on(codes, squeezing(), "squeezed"),
        "few planes": on(few, squeezing(), "squeezed"),
        "dense": on(codes, dense(), "dense"),
    }


def computing(report: Any) -> Any:
    """Return what is paid for computing alone, without leakage, as the study of SME has it."""
    from mho.machine.bill import KINDS

    bill = report.bill
    count = np.where(bill.kind == KINDS.index("compute"), bill.count, 0.0)
    return SimpleNamespace(program=report.program, bill=replace(bill, count=count))


def look_ups(data: Path) -> Measured:
    """Return services of Gowalla's look-ups: as published, one idea taken away, and mho's own."""
    from mho.chip import Chip
    from mho.explore import Request, design
    from mho.network.trace import read
    from mho.strategy import Strategy

    history, test = read(data / "recsys/gowalla_train.npz", compact=True).split(0.8, 0)
    request = Request(history, Chip.load("recross"), strategy=Strategy.load("mho"), equal=True)
    fixed = Strategy.load("recross").with_(modes="fixed")
    made = {name: design(name, request) for name in ("naive", "nmars", "recross", "mho")}
    made["recross, one mode"] = request.design("recross, one mode", fixed)
    return {name: each.serve(test, request.dimension, request.batch) for name, each in made.items()}


SUBJECTS: Mapping[str, Callable[[Path], Measured]] = {"basis": basis, "squeezed": squeezed, "look-ups": look_ups}
ON_BASIS = "ResNet-50 by shapes, 512 vectors, 32 a segment, preset `basisn`, banks greedy"
CLAIMS = {
    "BasisN: less than rewriting (schedule adaptive)": Claim("basis", "on a basis", "adaptive", ON_BASIS),
    "BasisN: less than pruned digital weights of the same error on the same lanes": Claim(
        "basis", "on a basis", "pruned", ON_BASIS
    ),
    **{
        f"SME: {what}": Claim(
            "squeezed", less, "dense", "ResNet-20 of real weights, computing alone, chips of the same parts"
        )
        for what, less in (
            ("planes squeezed without loss take less than dense weights, index memory included", "lossless"),
            (
                "at most 3 set bits, one plane squeezed out, take less than dense weights, index memory included",
                "few planes",
            ),
        )
    },
    **{
        f"ReCross: {what}": Claim("look-ups", less, over, "Gowalla, a fifth of the queries, preset `recross`")
        for what, less, over in (
            ("less than the naive mapping, in equal area", "recross", "naive"),
            ("less than nMARS as we take it to be", "recross", "nmars"),
            ("its ADCs' modes take less than one mode", "recross", "recross, one mode"),
            ("mho's own design takes less than ReCross as published", "mho", "recross"),
        )
    },
}


@cache
def _measured(subject: str, data: Path) -> Measured:
    return SUBJECTS[subject](data)


def measure(claim: Claim, data: Path) -> dict[str, Any]:
    """Price both designs of a claim by the same draws."""
    import mho

    both = {name: _measured(claim.subject, data)[name] for name in (claim.less, claim.over)}
    found = mho.robust(both, draws=DRAWS, seed=SEED)
    flips = found.verdict(claim.less, claim.over).flips
    low, high = found.interval(claim.less)
    return {
        "energy_j": found.energy(claim.less),
        "low_j": low,
        "high_j": high,
        **found.factor(claim.less, claim.over),
        "flips": [[flip.constant, flip.at] for flip in flips],
    }


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    from mho.engineering import percent, quantity, ratio
    from mho.machine.robustness import SHARE

    rows, draws = [], f"{percent(SHARE, 1.0)} of draws"
    for name, found in results["claims"].items():
        ends = f"{quantity(found['low_j'], 'J')} to {quantity(found['high_j'], 'J')}"
        flips = "; ".join(f"{constant} {at}" for constant, at in found["flips"][:FLIPS])
        more = f" and {len(found['flips']) - FLIPS} more" if len(found["flips"]) > FLIPS else ""
        verdict = (
            "decided"
            if found["decided"]
            else f"undecided: flips at {flips}{more}"
            if flips
            else "undecided: several constants together"
        )
        holds = "yes" if found["factor"] > 1 else "no"
        rows.append((
            name, CLAIMS[name].on, quantity(found["energy_j"], "J"), ends, ratio(found["factor"]),
            f"{ratio(found['low'])} to {ratio(found['high'])}", holds, verdict,
        ))  # fmt: skip
    heads = ("claim", "measured on", "energy", draws, "other / this", draws, "holds here", "verdict")
    return table(heads, rows, 2)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    return Subjects(
        "claims",
        "Claims on energy of BasisN, SME and ReCross under all published constants; writes docs/claims.md and "
        "benchmarks/claims.json. A few minutes of one core. Interrupt it at will: what is measured is kept.",
        RESULTS,
        SCHEMA,
        "claims",
        {name: partial(measure, claim) for name, claim in CLAIMS.items()},
        lambda found: write_measured(PAGE, rendered(found)),
    ).main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
