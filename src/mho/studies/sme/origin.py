"""Where the paper's factor comes from: the ratio of its baseline to ours, taken apart."""

from __future__ import annotations

from collections.abc import Mapping

from mho.studies.chapter import Chapter, Measured, why
from mho.studies.sme.load import STAGES
from mho.studies.sme.measure import TOPS
from mho.studies.sme.paper import PAPER

STEPS = (
    ("bits", "factor: 16 bits in pairs to 16 bits by an offset", "wide-pairs", "wide"),
    ("width", "factor: 16 bits to 8", "wide", "dense"),
    ("lossless", "factor: squeezed without loss, 8 bits", "dense", "lossless"),
)


def origin(counts: Measured, bits: Measured, best: Mapping[str, float], *, compared: bool) -> Chapter:
    """Take the ratio apart for every network; `best` says how many times fewer arrays than dense lose fewer than 0.3 points."""
    chapter = PAPER.chapter("origin")
    names = list(counts)
    for name, arrays in counts.items():
        squeezed = bits[name]["arrays"]
        factors = {series: (what, arrays[above] / arrays[below]) for series, what, above, below in STEPS}
        for top in TOPS[1:]:
            share = arrays["lossless"] / squeezed[f"3/{top}"]
            factors[f"squeezed/{top}"] = f"factor: S = 3, x = {top}, the paper's rules", share
        whole = arrays["wide-pairs"] / squeezed[f"3/{TOPS[-1]}"]
        factors["whole"] = f"16 bits in pairs / S = 3, x = {TOPS[-1]}", whole
        if name in best:
            for pairs, width in (("wide-pairs", 16), ("pairs", 8)):
                fewer = best[name] * arrays[pairs] / arrays["dense"]
                factors[f"best-{pairs}"] = f"{width} bits in pairs / our fewest within the limit", fewer
        for series, (quantity, factor) in factors.items():
            chapter.add(series, name, quantity, "times", factor, network=name)
    if compared:
        _beside(chapter, best)
    columns = {
        "bits": "pairs to offset", "width": "16 to 8 bits", "lossless": "lossless",
        **{f"squeezed/{top}": f"x = {top}" for top in TOPS[1:]}, "whole": "16 bits in pairs / x = 4",
    }  # fmt: skip
    chapter.table("Factors, the paper's rules (S = 3)", "network", names, columns)
    columns = {"best-pairs": "8 bits in pairs", "best-wide-pairs": "16 bits in pairs"}
    chapter.table("Times fewer arrays within the limit, against other baselines", "network", list(best), columns)
    return chapter


def _beside(chapter: Chapter, best: Mapping[str, float]) -> None:
    """Set what is nearest to the paper's networks beside its figures."""
    ours, paper = best.get("mobilenet_v2_int8_qdq"), PAPER.printed("fewer")
    sides = {side: PAPER.says(f"mobilenet-{side}") for side in ("higher", "lower")}
    beside = PAPER.says("no-data") if ours is None else why(ours, paper.get("mobilenet_v2"), **sides)
    whole = PAPER.says("resnet50", stages=STAGES)
    for name, factor, note in (("mobilenet_v2", ours, beside), ("resnet50", None, whole)):
        quantity, theirs = "times fewer arrays, accuracy kept", paper.get(name)
        chapter.add("paper", name, quantity, "times", factor, paper=theirs, note=note, network=name)
