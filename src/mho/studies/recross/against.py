"""Time and energy beside other designs, processors and memories, and idea by idea."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mho.studies.chapter import Chapter, why
from mho.studies.printed import Paper

Found = Mapping[str, Mapping[str, Any]]
PAPER = Paper("mho.studies.recross")

LABELS = {
    "naive": "naive",
    "frequency": "frequency",
    "nmars": "nMARS-like",
    "nmars-copies": "nMARS-like with copies",
    "nmars-whole": "nMARS-like, whole resolution",
    "recross": "ReCross",
    "ours": "ours",
}
TEXT = (
    "Bags that no layout has seen, in batches of 256 queries, rows of 64 features of 8 bits; all designs on the same "
    "parts. Naive: rows in order of their ids, ADCs of one resolution; frequency: rows sorted by how often they are "
    "looked up. nMARS-like: rows in order of their ids, read one by one, each at the resolution of a cell; with copies as "
    "ours has them; or, as the other extreme, each at the whole resolution. ReCross: greedy groups, log-scaled copies, "
    "two modes. Ours: the best groups, rows that the history never looks up scattered over them, load-optimal copies, "
    "groups that are touched together in one tile, any mode. Copies take at most a quarter more groups."
)


def figure(found: Mapping[str, Any], what: str) -> float:
    """Return the mean time of a batch, or the energy of a query."""
    return float(found["batch_s"]["mean"] if what == "time" else found["query_j"])


def gain(found: Mapping[str, Any], of: str, over: str, what: str) -> float:
    """Return by how many times a design takes less than another."""
    return figure(found[over], what) / figure(found[of], what)


def against(found: Found, real: tuple[str, ...]) -> Chapter:
    """Set every design's time and energy side by side, and the gains beside the paper's."""
    chapter = Chapter("against", "Time and energy beside other designs", "Abstract", TEXT)
    for name, runs in found.items():
        for design, label in LABELS.items():
            made = runs[design]
            for series, quantity, unit, value in (
                ("time", "time of a batch, mean", "s", made["batch_s"]["mean"]),
                ("p99", "time of a batch, 99th percentile", "s", made["batch_s"]["p99"]),
                ("energy", "energy of a query", "J", made["query_j"]),
                ("parts", "activations of a bag", "activations", made["per_bag"]),
                ("area", "area", "m²", made["area_m2"]),
                ("bound", "time over its lower bound", "times", made["bound_ratio"]),
            ):
                chapter.add(f"{series}/{design}", name, f"{quantity}, {label}", unit, value, network=name)
    _gains(chapter, found, real)
    members = list(found)
    for series, title in (
        ("parts", "Activations of a bag"),
        ("time", "Time of a batch, mean"),
        ("p99", "Time of a batch, 99th percentile"),
        ("energy", "Energy of a query"),
        ("area", "Area of the groups in use and of their share of tiles"),
        ("bound", "Time over its lower bound (whatever copies are chosen)"),
    ):
        chapter.table(title, "trace", members, {f"{series}/{design}": label for design, label in LABELS.items()})
    return chapter


UNKNOWN = "Which of the two the paper's nMARS is more like, and its traces and arrays, are not known."
SIDES = {
    ("time", "nmars"): (
        "Bags of many look-ups in few arrays make an array that reads row by row a queue; how many the paper's bags have is not "
        "known.",
        "An array that reads at the resolution of a cell takes less than a quarter of the time of a whole sum, so that a sum "
        "gains only where it serves more than four look-ups; against one that reads at the whole resolution the gain is larger. "
        f"{UNKNOWN}",
    ),
    ("time", "nmars-whole"): (
        "Each row that is read takes as long as a whole sum here; against an array that reads at the resolution of a cell "
        f"the gain is a fraction of this. {UNKNOWN}",
        "Most activations serve few look-ups, and busy arrays have queues; the paper's traces and arrays are not known.",
    ),
    ("energy", "nmars"): (
        "An activation serves many look-ups here, each of which the nMARS-like design pays for; the paper's traces are not known.",
        "Reading at the resolution of a cell, the nMARS-like design pays little for a read, and most activations serve few "
        f"look-ups. {UNKNOWN}",
    ),
    ("energy", "nmars-whole"): (
        "Each row that is read pays for a conversion of the whole resolution here; against an array that reads at the resolution "
        f"of a cell the gain is a fraction of this. {UNKNOWN}",
        "Most activations serve few look-ups, so that few conversions are saved; the paper's traces and arrays are not known.",
    ),
    ("energy", "naive"): (
        "The abstract does not say what this is over; we set it beside naive mapping. The paper's traces are not known.",
        "The abstract does not say what this is over; we set it beside naive mapping. The paper's traces are not known; on ours "
        "the naive mapping activates only so many more groups, and what activations have in common is not saved.",
    ),
}  # fmt: skip
"""Why a gain is above the paper's, and why below, by what is gained and over what."""


def _gains(chapter: Chapter, found: Found, real: tuple[str, ...]) -> None:
    pairs = {
        "recross/nmars": "ReCross over nMARS-like",
        "recross/nmars-whole": "ReCross over nMARS-like, whole resolution",
        "recross/naive": "ReCross over naive",
        "ours/nmars": "ours over nMARS-like",
        "ours/nmars-copies": "ours over nMARS-like with copies",
        "ours/nmars-whole": "ours over nMARS-like, whole resolution",
        "ours/naive": "ours over naive",
        "ours/frequency": "ours over frequency",
        "ours/recross": "ours over ReCross",
    }
    for what in ("time", "energy"):
        for pair, label in pairs.items():
            of, over = pair.split("/")
            gains = {name: gain(runs, of, over, what) for name, runs in found.items()}
            for name, value in gains.items():
                chapter.add(f"{what}-gain/{pair}", name, f"times less {what}, {label}", "times", value, network=name)
            if real:
                mean = float(np.exp(np.mean([np.log(gains[name]) for name in real])))
                printed = PAPER.printed(what).get("mean") if over in ("nmars", "nmars-whole") else None
                if over == "naive" and what == "energy":
                    printed = PAPER.printed("energy_naive").get("mean")
                higher, lower = SIDES.get((what, over), ("", ""))
                note = why(mean, printed, higher=higher, lower=lower)
                chapter.add(
                    f"{what}-gain/{pair}", "mean", f"times less {what}, {label}, mean of real traces", "times", mean,
                    paper=printed, note=note,
                )  # fmt: skip
        columns = {f"{what}-gain/{pair}": label for pair, label in pairs.items()}
        members = [*found, *(["mean"] if real else [])]
        chapter.table(f"Times less {what}", "trace", members, columns)
        drawn = {f"{what}-gain/{pair}": label for pair, label in pairs.items() if pair.endswith(("nmars", "naive"))}
        chapter.plot(f"against-{what}", f"Times less {what}", "times", members, drawn, 1.0)


IDEAS_TEXT = (
    "From the naive mapping on, one idea is added after another: groups of rows that occur together, copies of busy "
    "groups, modes of the ADC; in ours also tiles, groups that are touched together in one. With the copies of ours go "
    "rows that the history never looks up, scattered over the groups. Gains are over the naive mapping, as published and "
    "as ours."
)
STAGES = {"published": ("groups", "copies", "modes"), "ours": ("groups", "copies", "modes", "tiles")}
"""What is added to the naive mapping."""


def ideas(found: Found) -> Chapter:
    """Show what each of the three ideas adds."""
    chapter = Chapter("ideas", "One idea after another", "Abstract", IDEAS_TEXT)
    ways = {"published": "as published", "ours": "ours"}
    for name, runs in found.items():
        for way, label in ways.items():
            base, *added = runs[way]
            for stage, made in zip(STAGES[way], added, strict=True):
                for what in ("time", "energy"):
                    value = figure(base, what) / figure(made, what)
                    chapter.add(
                        f"{what}/{way}/{stage}", name, f"times less {what} than naive with {made['name']}, {label}", "times",
                        value, network=name,
                    )  # fmt: skip
    for what in ("time", "energy"):
        columns = {
            f"{what}/{way}/{stage}": f"{stage if stage == 'groups' else '+ ' + stage}, {label}"
            for way, label in ways.items()
            for stage in STAGES[way]
        }
        chapter.table(f"Times less {what} than naive", "trace", list(found), columns)
        chapter.plot(f"ideas-{what}", f"Times less {what} than naive", "times", list(found), columns, 1.0)
    return chapter


PROCESSORS_TEXT = (
    "The same batches on a processor: `embedding_bag` of float32 on this machine, measured; and as what moving the bytes "
    "of int8 rows takes at the bandwidth of a GPU's memory, and of one channel of DRAM, with nothing else counted and no "
    "caches."
)
PROCESSORS = {"cpu": "embedding_bag here", "gpu": "GPU memory (roofline)", "dram": "DRAM channel (roofline)"}


def processors(found: Found, designs: Found) -> Chapter:
    """Set ours beside processors and memories."""
    chapter = Chapter("processors", "Beside processors and memories", "Summary", PROCESSORS_TEXT)
    printed = PAPER.printed("processors").get("mean")
    for name, runs in found.items():
        ours = designs[name]["ours"]
        for which, label in PROCESSORS.items():
            chapter.add(
                f"time/{which}", name, f"times as long, {label}", "times",
                runs[which]["batch_s"] / figure(ours, "time"), network=name,
            )  # fmt: skip
            if "query_j" in runs[which]:
                value = runs[which]["query_j"] / figure(ours, "energy")
                note = why(
                    value, printed,
                    higher="This is what moving the bytes takes; a whole processor draws more still. The paper says at least 100.",
                    lower="Only moving the bytes is counted here, and every row comes from memory; a whole processor draws more.",
                )  # fmt: skip
                chapter.add(
                    f"energy/{which}", name, f"times the energy of a query, {label}", "times", value, paper=printed,
                    note=note, network=name,
                )  # fmt: skip
    for what, title in (("time", "Times as long as ours"), ("energy", "Times the energy of ours")):
        columns = {f"{what}/{which}": label for which, label in PROCESSORS.items()}
        chapter.table(title, "trace", list(found), columns)
    return chapter
