"""Arrays in every way of using them, and the bits of each plane."""

from __future__ import annotations

from collections.abc import Sequence

from mho.studies.chapter import Chapter, Measured
from mho.studies.sme.measure import PRUNED, TOPS, WINDOWS, windows_of
from mho.studies.sme.paper import PAPER

COLUMNS = PAPER.labels("arrays")


def crossbars(measured: Measured, seeded: Sequence[str]) -> Chapter:
    """List the arrays of each network in every way."""
    chapter = PAPER.chapter("crossbars", pruned=PRUNED)
    for name, arrays in measured.items():
        for series, label in COLUMNS.items():
            chapter.add(series, name, f"arrays, {label}", "arrays", float(arrays[series]), network=name)
    names = list(measured)
    chapter.table("Arrays", "network", names, COLUMNS, labels(seeded))
    chapter.plot(
        "crossbars", "Arrays of one copy of all weights", "arrays", [name for name in names if name not in seeded] or names,
        {key: COLUMNS[key] for key in ("dense", "pairs", "sre", "pruned", "lossless")},
    )  # fmt: skip
    return chapter


def labels(seeded: Sequence[str]) -> dict[str, str]:
    """Say which networks have seeded weights."""
    return {name: f"{name} (seeded weights)" for name in seeded}


def windows(counted: Measured, bits: Measured, seeded: Sequence[str]) -> Chapter:
    """List the arrays of each network for every window and number of planes."""
    chapter = PAPER.chapter("windows")
    for name, counts in bits.items():
        for significant in windows_of(name):
            for top in TOPS:
                share = counts["arrays"][f"{significant}/{top}"] / counted[name]["dense"]
                what = f"arrays / dense, S = {significant}, x = {top}"
                chapter.add(f"S{significant}x{top}", name, what, "", share, network=name)
    for significant in WINDOWS:
        columns = {f"S{significant}x{top}": f"x = {top}" for top in TOPS}
        chapter.table(f"Arrays / dense, S = {significant}", "network", list(bits), columns, labels(seeded))
    columns = {f"S3x{top}": f"x = {top}" for top in TOPS}
    chapter.plot("windows-3", "Arrays of those of a dense mapping, S = 3", "arrays / dense", list(bits), columns, 1.0)
    return chapter


def planes(bits: Measured) -> Chapter:
    """Show the bits of each plane."""
    chapter, members = PAPER.chapter("planes"), [f"bit {plane}" for plane in range(6, -1, -1)]
    for name, counts in bits.items():
        codings = {"8-bit": "8 bits", **{str(s): f"S = {s}" for s in reversed(windows_of(name))}}
        for place, member in enumerate(members):
            for coding, label in codings.items():
                for kind, what in (("weights", "weights"), ("rows", "rows of arrays")):
                    share = 100 * counts["planes"][coding][place][kind]
                    quantity = f"{what} with a bit in plane {6 - place}, {label}"
                    chapter.add(f"{name}/{kind}/{coding}", member, quantity, "%", share, network=name)
        columns = {f"{name}/weights/{coding}": label for coding, label in codings.items()}
        chapter.plot(f"planes-{name}", f"{name}: weights with a bit in a plane", "% of weights", members, columns)
        rows = {f"{name}/rows/{coding}": f"rows, {label}" for coding, label in codings.items()}
        chapter.table(f"{name}: rows of arrays with a bit in a plane, %", "plane", members, rows)
    return chapter
