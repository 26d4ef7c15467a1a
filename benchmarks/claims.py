"""What the energies of the systems that mho is built of rest on: each claim as an interval, with a verdict (docs/claims.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.files import ROOT, write_measured
from benchmarks.intervals import compared, factors, interval, part, priced, verdict, with_ends
from benchmarks.subjects import Subjects
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "claims.json"
PAGE = ROOT / "docs" / "claims.md"
SCHEMA = "mho.claims/1"
Measured = Mapping[str, Any]
"""Of a subject, what has a bill, by the name of the design."""


@dataclass(frozen=True)
class Claim:
    """That one design of a subject takes less energy (or area: `what`) than another, and on what that is measured.

    `page`: the page of docs/, written by hand, that tells both with the ends between which most draws lie; a test reads it there.
    """

    subject: str
    less: str
    over: str
    on: str
    what: str = "energy"
    page: str = ""


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
        plan = mho.Strategy().with_(schedule="naive", mapping=mapping)
        # Computing alone, without leakage, as the study of SME has it.
        return part(mho.simulate(mho.compile(codes, sized, plan)), lambda price, kind: kind == "compute")

    return {
        "lossless": on(codes, squeezing(), "squeezed"),
        "few planes": on(few, squeezing(), "squeezed"),
        "dense": on(codes, dense(), "dense"),
    }


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


def flowing(data: Path) -> Measured:
    """Return networks on isaac as a stream, and one inference after another; ResNet-50 also with links that are on when used."""
    import mho

    found = {
        f"{name}, {schedule}": mho.simulate(
            mho.compile(mho.zoo.load(name), "isaac", mho.Strategy.load("default").with_(schedule=schedule))
        )
        for name in STREAMED
        for schedule in ("stream", "adaptive")
    }
    off = mho.Chip.load("isaac").override(
        {"external_io": "when_used"}, source="benchmark: links off where nothing crosses"
    )
    for links, chip in (("always", "isaac"), ("when used", off)):
        found[f"links {links}"] = mho.simulate(mho.compile(mho.zoo.load("resnet50"), chip, "overlap"))
    return found


def whole_chips(data: Path) -> Measured:
    """Return whole chips, whatever runs on them, and the systolic array."""
    import mho
    from mho.machine.systolic import run

    network = mho.zoo.load("resnet20")
    chips = {name: mho.simulate(mho.compile(network, name, "naive")) for name in ("aras", "isaac", "sme", "basisn")}
    return {**chips, "tpu-like": run(network, "tpu-like")}


def arrays_of_a_basis(data: Path) -> Measured:
    """Return ResNet-50 on a basis, on the whole of basisn, on four of its arrays, and with a port and tiles as aras has them."""
    import mho

    network, plan = mho.zoo.load("resnet50"), mho.Strategy.load("basisn")
    few = {"tiles": 1, "tile.groups": 1}
    narrow = {"buffer.port_bits": 256, "tile.input_fetch": "every_window"}
    return {
        name: mho.simulate(mho.compile(network, mho.Chip.load("basisn").override(changes, source="benchmark"), plan))
        for name, changes in {"whole": {}, "four arrays": few, "narrow port": narrow}.items()
    }


STREAMED = {"resnet18": "ResNet-18", "resnet50": "ResNet-50", "mobilenet_v2": "MobileNetV2"}
SUBJECTS: Mapping[str, Callable[[Path], Measured]] = {
    "basis": basis, "squeezed": squeezed, "look-ups": look_ups, "flowing": flowing, "chips": whole_chips,
    "arrays of a basis": arrays_of_a_basis,
}  # fmt: skip
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
    **{
        f"Stream: {label} takes less than one inference after another": Claim(
            "flowing", f"{name}, stream", f"{name}, adaptive", "shapes alone, preset `isaac`", page="stream"
        )
        for name, label in STREAMED.items()
    },
    "Links off where nothing crosses them take less": Claim(
        "flowing", "links when used", "links always", "ResNet-50 by shapes, preset `isaac`, overlap", page="chip"
    ),
    "On a basis: the whole chip takes less than four arrays": Claim(
        "arrays of a basis", "whole", "four arrays", "ResNet-50 by shapes, preset `basisn`", page="basis"
    ),
    "On a basis: a port of 1,024 bits and inputs once take less than 256 bits and every window": Claim(
        "arrays of a basis", "whole", "narrow port", "ResNet-50 by shapes, preset `basisn`", page="basis"
    ),
    **{
        f"Area: `{less}` takes less than `{over}`": Claim("chips", less, over, "whole chips", "area", page)
        for less, over, page in (("isaac", "sme", "chip"), ("aras", "basisn", "chip"), ("tpu-like", "aras", "baseline"))
    },
}


@cache
def _measured(subject: str, data: Path) -> Measured:
    return SUBJECTS[subject](data)


def measure(claim: Claim, data: Path) -> dict[str, Any]:
    """Price both designs of a claim by the same draws."""
    both = {name: _measured(claim.subject, data)[name] for name in (claim.less, claim.over)}
    found = priced(both, claim.what)
    return {
        "less": interval(found, claim.less),
        "over": interval(found, claim.over),
        **compared(found, claim.less, claim.over),
    }


def told(name: str, found: dict[str, Any], design: str) -> str:
    """Write the figure of a claim's design, `less` or `over`, with the ends between which most draws lie."""
    return with_ends(found[design], {"energy": "J", "area": "m²"}[CLAIMS[name].what])


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    from mho.engineering import percent, ratio
    from mho.machine.robustness import SHARE

    draws = f"{percent(SHARE, 1.0)} of draws"
    rows = [
        (
            name, CLAIMS[name].on, told(name, found, "less"), told(name, found, "over"), ratio(found["factor"]), factors(found),
            "yes" if found["factor"] > 1 else "no", verdict(found),
        )
        for name, found in results["claims"].items()
    ]  # fmt: skip
    heads = ("claim", "measured on", f"this ({draws})", "other", "other / this", draws, "holds here", "verdict")
    return table(heads, rows, 2)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    return Subjects(
        "claims",
        "Claims on energy and area that pages make, under all published constants; writes docs/claims.md and "
        "benchmarks/claims.json. A few minutes of one core. Interrupt it at will: what is measured is kept.",
        RESULTS,
        SCHEMA,
        "claims",
        {name: partial(measure, claim) for name, claim in CLAIMS.items()},
        lambda found: write_measured(PAGE, rendered(found)),
    ).main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
