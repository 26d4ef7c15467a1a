"""Arrays in every way of using them, and the bits of each plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.sme.measure import PRUNED, TOPS, WINDOWS, windows_of

Found = Mapping[str, Mapping[str, Any]]

TEXT = (
    "Arrays of 128 x 128 cells of one bit that hold one copy of all weights, 8 bits an output channel. Dense: 8 cells "
    "a weight, biased (ISAAC), small matrices of depthwise convolutions along the diagonals of arrays; apart: each "
    "such matrix in arrays of its own, as ISAAC would have it; in pairs: 14 cells, positive and negative magnitudes; "
    "16 bits: ISAAC's own weights. SRE: rows without a set bit left out of strips of 16 columns, bit planes apart, "
    "each strip with inputs of its own; stacked: strips also above one another in an array. PIM-Prune: the weakest "
    f"rows and columns of blocks, {PRUNED:.0%} of all weights, taken away and nothing trained again, so that its "
    "accuracy is not comparable. Squeezed, lossless: what squeezed mapping saves of the very same 8-bit weights."
)
COLUMNS = {
    "dense": "dense, 8 bits",
    "separate": "apart",
    "pairs": "in pairs",
    "wide": "16 bits",
    "wide-pairs": "16 bits in pairs",
    "sre": "SRE",
    "sre-stacked": "SRE stacked",
    "pruned": "pruned",
    "lossless": "squeezed, lossless",
}
WINDOWS_TEXT = (
    "By the paper's rules: weights rounded to at most S consecutive significant bits of 8 bits in sign and magnitude, "
    "then x top planes squeezed out: a row of an array's outputs that reaches into them is stored shifted right by x, "
    "the bits that fall out dropped, its inputs shifted back. Arrays of squeezed mapping, as a share of dense; what is "
    "lost in accuracy is told below. Signs are told by pairs or by an offset, whichever takes fewer columns: with one "
    "bit plane in every column of 128 rows occupied, an offset takes one plane more than the magnitudes have, pairs "
    "twice as many."
)
PLANES_TEXT = (
    "The share of weights that have a bit in each plane of their magnitude (bit 6 the highest), and the share of rows "
    "of an array (one input, 128 outputs) that have any. A window of S bits thins the low planes out; the high ones "
    "are thin by themselves. But a row of 128 outputs that has no bit at all in a plane is rare: this is why planes "
    "are squeezed out, and why leaving out rows alone gains little."
)


def crossbars(found: Found, seeded: Sequence[str]) -> Chapter:
    """List the arrays of each network in every way."""
    chapter = Chapter("crossbars", "Arrays, in every way of using them", "Abstract", TEXT)
    for name, each in found.items():
        for series, label in COLUMNS.items():
            chapter.add(series, name, f"arrays, {label}", "arrays", float(each[series]), network=name)
    names = list(found)
    chapter.table("Arrays", "network", names, COLUMNS, labels(seeded))
    chapter.plot(
        "crossbars", "Arrays of one copy of all weights", "arrays", [name for name in names if name not in seeded] or names,
        {key: COLUMNS[key] for key in ("dense", "pairs", "sre", "pruned", "lossless")},
    )  # fmt: skip
    return chapter


def labels(seeded: Sequence[str]) -> dict[str, str]:
    """Say which networks have seeded weights."""
    return {name: f"{name} (seeded weights)" for name in seeded}


def windows(found: Found, bits: Found, seeded: Sequence[str]) -> Chapter:
    """List the arrays of each network for every window and number of planes."""
    chapter = Chapter("windows", "Windows of S bits, and x planes squeezed out", "Abstract", WINDOWS_TEXT)
    for name, each in bits.items():
        for significant in windows_of(name):
            for top in TOPS:
                share = each["arrays"][f"{significant}/{top}"] / found[name]["dense"]
                what = f"arrays / dense, S = {significant}, x = {top}"
                chapter.add(f"S{significant}x{top}", name, what, "", share, network=name)
    for significant in WINDOWS:
        columns = {f"S{significant}x{top}": f"x = {top}" for top in TOPS}
        chapter.table(f"Arrays / dense, S = {significant}", "network", list(bits), columns, labels(seeded))
    columns = {f"S3x{top}": f"x = {top}" for top in TOPS}
    chapter.plot("windows-3", "Arrays of those of a dense mapping, S = 3", "arrays / dense", list(bits), columns, 1.0)
    return chapter


def planes(bits: Found) -> Chapter:
    """Show the bits of each plane."""
    chapter = Chapter("planes", "Bits of each plane", "Abstract", PLANES_TEXT)
    for name, each in bits.items():
        codings = {"8-bit": "8 bits", **{str(s): f"S = {s}" for s in reversed(windows_of(name))}}
        members = []
        for place in range(7):
            member = f"bit {6 - place}"
            members.append(member)
            for coding, label in codings.items():
                for kind, what in (("weights", "weights"), ("rows", "rows of arrays")):
                    share = 100 * each["planes"][coding][place][kind]
                    quantity = f"{what} with a bit in plane {6 - place}, {label}"
                    chapter.add(f"{name}/{kind}/{coding}", member, quantity, "%", share, network=name)
        columns = {f"{name}/weights/{coding}": label for coding, label in codings.items()}
        chapter.plot(f"planes-{name}", f"{name}: weights with a bit in a plane", "% of weights", members, columns)
        rows = {f"{name}/rows/{coding}": f"rows, {label}" for coding, label in codings.items()}
        chapter.table(f"{name}: rows of arrays with a bit in a plane, %", "plane", members, rows)
    return chapter
