"""Where the paper's factor comes from: the ratio of its baseline to ours, taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.chapter import Chapter, why
from mho.studies.printed import Paper
from mho.studies.sme.load import STAGES
from mho.studies.sme.measure import TOPS

Found = Mapping[str, Mapping[str, Any]]

TEXT = (
    "The abstract says 'up to 8.7 and 2.1 times' against 'prior state-of-the-art designs' and does not say which. A "
    "ratio of arrays is a product: of the bits of a weight in the baseline (16 in ISAAC, 8 elsewhere), of how signs "
    "are told there (pairs double the columns, an offset does not), of planes left out or squeezed out, and of what "
    "packing gains or loses. Each factor here is a quotient of two counts, so that they multiply to the whole."
)
ABSENT = "No real data were given to this run."
MORE = (
    "Against a dense mapping of the same 8-bit file with depthwise kernels packed, up to two blocks sharing an array "
    "in turns; the paper's baseline is not in our copy."
)
LESS = (
    "Depthwise kernels need as many rows whatever their bits, so that their arrays do not shrink; against dense arrays "
    "in which each depthwise kernel stands apart, which the paper's baseline may be, the factor is larger."
)
STEPS = (
    ("bits", "16 bits in pairs to 16 bits by an offset", "wide-pairs", "wide"),
    ("width", "16 bits to 8", "wide", "dense"),
)


def origin(counts: Found, bits: Found, best: Mapping[str, float], *, compared: bool) -> Chapter:
    """Take the ratio apart for every network; `best` says how many times fewer arrays than dense lose fewer than 0.3 points."""
    chapter = Chapter("origin", "Where 8.7 and 2.1 come from", "Abstract", TEXT)
    paper = Paper("mho.studies.sme").printed("fewer")
    names = list(counts)
    for name, each in counts.items():
        for series, what, above, below in STEPS:
            chapter.add(series, name, f"factor: {what}", "times", each[above] / each[below], network=name)
        chapter.add(
            "lossless",
            name,
            "factor: squeezed without loss, 8 bits",
            "times",
            each["dense"] / each["lossless"],
            network=name,
        )
        for top in TOPS[1:]:
            share = each["lossless"] / bits[name]["arrays"][f"3/{top}"]
            chapter.add(
                f"squeezed/{top}", name, f"factor: S = 3, x = {top}, the paper's rules", "times", share, network=name
            )
        whole = each["wide-pairs"] / bits[name]["arrays"][f"3/{TOPS[-1]}"]
        chapter.add("whole", name, f"16 bits in pairs / S = 3, x = {TOPS[-1]}", "times", whole, network=name)
        if name in best:
            chapter.add(
                "best-wide-pairs", name, "16 bits in pairs / our fewest within the limit", "times",
                best[name] * each["wide-pairs"] / each["dense"], network=name,
            )  # fmt: skip
            chapter.add(
                "best-pairs", name, "8 bits in pairs / our fewest within the limit", "times",
                best[name] * each["pairs"] / each["dense"], network=name,
            )  # fmt: skip
    if compared:
        _beside(chapter, paper.values, best)
    columns = {
        "bits": "pairs to offset", "width": "16 to 8 bits", "lossless": "lossless",
        **{f"squeezed/{top}": f"x = {top}" for top in TOPS[1:]}, "whole": "16 bits in pairs / x = 4",
    }  # fmt: skip
    chapter.table("Factors, the paper's rules (S = 3)", "network", names, columns)
    columns = {"best-pairs": "8 bits in pairs", "best-wide-pairs": "16 bits in pairs"}
    chapter.table("Times fewer arrays within the limit, against other baselines", "network", list(best), columns)
    return chapter


def _beside(chapter: Chapter, paper: Mapping[str, float], best: Mapping[str, float]) -> None:
    """Set what is nearest to the paper's networks beside its figures."""
    ours = best.get("mobilenet_v2_int8_qdq")
    note = ABSENT if ours is None else why(ours, paper["mobilenet_v2"], higher=MORE, lower=LESS)
    chapter.add(
        "paper", "mobilenet_v2", "times fewer arrays, accuracy kept", "times", ours, paper=paper["mobilenet_v2"],
        note=note, network="mobilenet_v2",
    )  # fmt: skip
    chapter.add(
        "paper", "resnet50", "times fewer arrays, accuracy kept", "times", None, paper=paper["resnet50"],
        note=f"No trained weights of the whole network are at hand. On {STAGES} the paper's rules give the factors of the table; "
        "what 16-bit weights in pairs cost dense is the largest of them, and no planes of 8-bit weights alone reach "
        "8.7.",
        network="resnet50",
    )  # fmt: skip
