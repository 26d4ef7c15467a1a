"""What chips, macros and simulators state of themselves, and the study's texts, read from paper.yaml beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from mho.studies.chapter import Chapter, why
from mho.studies.printed import Paper

PAPER = Paper("mho.studies.silicon")

Figures = Mapping[str, Mapping[str, float]]
"""Ours: quantity to member to figure."""


def said(key: str) -> str:
    """Return the sentence of a key, empty where paper.yaml has none: Row refuses a difference that nothing explains."""
    with suppress(KeyError):
        return PAPER.says(key)
    return ""


def compared(chapter: Chapter, measured: Figures, notes: Mapping[str, str] | None = None) -> list[str]:
    """Add a row for each figure of ours, beside the stated one where there is one; return the members.

    A note is that of quantity/member or of the member, and where the two are further apart than a tenth the sentence
    part-quantity-member-higher of paper.yaml, or -lower.
    """
    members, told = dict[str, None](), notes or {}
    for quantity, figures in measured.items():
        printed, name = PAPER.printed(f"{chapter.part}-{quantity}"), PAPER.labels(chapter.part)[quantity]
        for member, ours in figures.items():
            stated, key = printed.get(member), f"{chapter.part}-{quantity}-{member}"
            reason = why(ours, stated, higher=said(f"{key}-higher"), lower=said(f"{key}-lower"))
            own = told.get(f"{quantity}/{member}", told.get(member, ""))
            note = printed.note(member, f"{own} {reason}".strip())
            chapter.add(quantity, member, f"{name}, {member}", printed.unit, ours, paper=stated, note=note)
            members[member] = None
    return list(members)


def laid_out(chapter: Chapter, title: str, head: str, members: Sequence[str], quantities: Sequence[str] = ()) -> None:
    """Lay the rows of a part out, a line a member, and draw nothing; `quantities` are all where none are given."""
    labels = PAPER.labels(chapter.part)
    chapter.table(title, head, members, {name: labels[name] for name in quantities or labels})
