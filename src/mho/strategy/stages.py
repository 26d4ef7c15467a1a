"""The stages of compiling, and those of laying out embedding tables: at each of them a strategy makes one choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of compiling: the choice that is taken where none is named, what is chosen, and what helps to choose.

    One that came `later` is left out of records of strategies that take the usual choice, so that these stay what they were.
    """

    default: str
    help: str
    home: str = "mho.schedule"
    """The folder whose import registers the choices that come with mho."""
    later: bool = False


STAGES: Mapping[str, Stage] = {
    "coding": Stage("bytes", "How weights become codes; a grid means grid, a budget means budget."),
    "mapping": Stage(
        "dense",
        "How weights sit in cells: whole ones side by side (dense), digit by digit with what is empty left out (squeezed: "
        "needs weights, and a chip such as sme), or as combinations of a basis that all layers share (basis: needs coding and "
        "schedule basis, and a chip such as basisn).",
        "mho.mapping",
    ),
    "conversion": Stage(
        "chip",
        "How many bits each conversion resolves: all that the chip's ADCs have, as many as the rows and levels of a layer ask for "
        "(exact), or fewer (below).",
        "mho.mapping",
        later=True,
    ),
    "alignment": Stage(
        "none",
        "Shift the weights of all layers but the first to one mean, so that overwriting takes fewer pulses: a whole number from 0 "
        "to 255; or auto, which chooses it, by accuracy where labelled samples are executed, else by clipped weights. Needs "
        "weights.",
    ),
    "low_cell": Stage(
        "all",
        "Whether the least significant cells of the same layers take all levels, or the lowest where a weight can bear it, which "
        "changes weights by little and saves pulses. lower needs weights.",
    ),
    "schedule": Stage("adaptive", "When weights are written and layers computed."),
    "banks": Stage(
        "ilp",
        "How banks of the global buffer are chosen for tensors: by integer programs, or greedily, tensor by tensor.",
    ),
    "placement": Stage(
        "none",
        "Where the rows, columns and digits of each block sit in its group, so that overwriting takes less time (on a chip of "
        "write_latency actual) or fewer pulses. Needs weights.",
    ),
    "residency": Stage(
        "auto",
        "Whether the weights stay where the whole network fits the chip, or are written anew in every inference.",
    ),
}
"""The stages of networks, in the order in which compiling goes through them."""

TABLE_STAGES: Mapping[str, Stage] = {
    stage: Stage(default, help, "mho.mapping.embedding")
    for stage, default, help in (
        ("grouping", "anneal", "Which rows of embedding tables share a group of arrays, by the history of look-ups."),
        ("new_rows", "scattered", "Where rows sit that the history never looks up."),
        ("copies", "load", "How many copies each group gets, as far as the area allows."),
        ("seating", "together", "Which tile of the chip each group and copy sits in."),
        ("reading", "sums", "How rows of a bag that stand in one group are read."),
    )
}
"""The stages of embedding tables, in the order in which rows get their places. They concern look-ups of a trace alone."""

ALL_STAGES: Mapping[str, Stage] = {**STAGES, **TABLE_STAGES}
"""All stages of a strategy."""
