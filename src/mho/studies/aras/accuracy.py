"""Table III: accuracy lost by partial weight reuse, on the networks of which there are trained weights and samples."""

from __future__ import annotations

from mho.studies.aras.measure import Costs
from mho.studies.aras.paper import NETWORKS, PAPER, printed
from mho.studies.chapter import Chapter
from mho.studies.work import Work

VARIANTS = {
    "lost": ("auto", "a common centre"),
    "lost-narrow": ("narrow", "a common centre, least significant cells narrowed"),
}


def accuracy(work: Work, real: Costs) -> Chapter:
    """List the paper's losses, and measure those of the real networks."""
    chapter, lost = PAPER.chapter("table-3"), "accuracy lost by partial weight reuse"
    if not work.settings.quick:
        for name in NETWORKS:
            paper, note = printed("accuracy-lost").get(name), PAPER.says("untrained")
            chapter.add("lost", name, lost, "points", None, paper=paper, note=note, network=name)
    if not real:
        chapter.add("lost", "real", f"{lost}, real networks", "points", None, note=PAPER.says("no-data"))
    for series, (variant, what) in VARIANTS.items():
        quantity = f"accuracy lost, {what}"
        for name, runs in real.items():
            before, after = runs["none"], runs[variant]
            points = 100 * (before["right"] - after["right"]) / before["samples"]
            note = (
                f"{before['right']} of {before['samples']} right without reuse, {after['right']} with; centre chosen on "
                f"{after['judges']}{', the very samples that are counted' if after['judged_on_the_same'] else ''}."
            )
            chapter.add(series, name, quantity, "points", points, note=note, network=name)
        if real:
            chapter.mean(series, tuple(real), quantity, "points")
    columns = {"lost": "a common centre", "lost-narrow": "and least cells narrowed (ours)"}
    chapter.plot("table-3-real", "Accuracy lost on real networks", "points of top-1 accuracy", (*real, "mean"), columns)
    members = (*NETWORKS, "real", *real, "mean")
    chapter.table("Accuracy lost, points", "network", members, columns, {"real": "real networks"})
    return chapter
