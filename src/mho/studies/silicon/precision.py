"""The prediction of NeuRRAM as a chapter."""

from __future__ import annotations

from dataclasses import asdict

from mho.studies.chapter import Chapter
from mho.studies.silicon.neurram import content, frozen, ranges
from mho.studies.silicon.paper import PAPER, compared, laid_out


def neurram() -> dict[str, dict[str, float]]:
    """Return what is predicted, by quantity and precision, the measured row first; and the range of time and efficiency."""
    predicted: dict[str, dict[str, float]] = {}
    for precision, figures in frozen().items():
        for quantity, value in asdict(figures).items():
            predicted.setdefault(quantity, {})[precision] = value
    for precision, ends in ranges().items():
        for end, figures in zip(("free", "whole"), ends, strict=True):
            for quantity in ("tops", "efficiency"):
                predicted.setdefault(f"{quantity}-{end}", {})[precision] = getattr(figures, quantity)
    return predicted


def neurram_chapter(measured: dict[str, dict[str, float]]) -> Chapter:
    """Show the prediction beside the row that it is from, and beside others where they are known."""
    chapter, labels = PAPER.chapter("neurram"), PAPER.labels("neurram")
    main, spread = ([name for name in labels if ("-" in name) == ends] for ends in (False, True))
    (given, *predicted) = measured["tops"]
    notes = {given: PAPER.says("given"), **dict.fromkeys(predicted, PAPER.says("frozen", frozen=content()["frozen"]))}
    compared(chapter, {name: measured[name] for name in main}, notes)
    compared(chapter, {name: measured[name] for name in spread})
    laid_out(chapter, "Prediction: TOPS, TOPS/W, and fJ an operation", "bits", [given, *predicted], main)
    laid_out(chapter, "Range of one assumption: the opening cycles of a conversion", "bits", predicted, spread)
    chapter.plot("neurram", "Efficiency", "TOPS/W", [given, *predicted], {"efficiency": labels["efficiency"]})
    return chapter
