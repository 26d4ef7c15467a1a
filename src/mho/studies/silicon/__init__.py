"""What published silicon and published simulators state of themselves, beside what mho says of the same chips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mho
from mho.studies.chapter import Chapter
from mho.studies.rows import Study
from mho.studies.silicon.chips import OUTSIDE, chips, chips_chapter
from mho.studies.silicon.macro import CHIP, macro, macro_chapter
from mho.studies.silicon.neurram import content
from mho.studies.silicon.paper import PAPER
from mho.studies.silicon.precision import neurram, neurram_chapter
from mho.studies.silicon.simulators import TILES, mnsim, mnsim_chapter, raella, raella_chapter
from mho.studies.silicon.summary import summary
from mho.studies.work import Work

PARTS: dict[str, tuple[Callable[[], dict[str, dict[str, float]]], Callable[[Any], Chapter], tuple[str, ...]]] = {
    "chips": (chips, chips_chapter, tuple(OUTSIDE)),
    "raella": (raella, raella_chapter, tuple(TILES)),
    "mnsim": (mnsim, mnsim_chapter, ("mnsim",)),
    "macro": (macro, macro_chapter, (CHIP,)),
    "neurram": (neurram, neurram_chapter, ()),
}
"""Part to what measures it, what makes a chapter of that, and the chips that it rests on."""


def parts(work: Work) -> tuple[str, ...]:
    """Return the parts, which may be measured side by side."""
    return tuple(PARTS)


def measure_part(work: Work, part: str) -> dict[str, Any]:
    """Measure one part: figures by quantity and member."""
    compute, _, names = PARTS[part]
    return work.measure(part, compute, *(mho.Chip.load(name) for name in names))


def study(work: Work) -> Study:
    """Measure everything, and set it beside what is stated."""
    chapters = [make(measure_part(work, part)) for part, (_, make, _) in PARTS.items()]
    names = dict.fromkeys(name for _, _, names in PARTS.values() for name in names)
    settings = {"quick": work.settings.quick, "networks": []}
    digests = {name: mho.Chip.load(name).digest for name in names}
    made = PAPER.study("silicon", digests, settings, [summary(chapters), *chapters])
    assumed = (f"NeuRRAM: {text.removeprefix('assumption: ')}" for text in content()["assumptions"].values())
    return replace(made, assumptions=(*made.assumptions, *assumed))
