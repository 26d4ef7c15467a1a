"""How far a parameter may go, as a person should see it: the sentence, and the values that were looked at in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mho.report.accuracy import about, listing, notes_of
from mho.report.sections import Sentence, Table, Tone, View, synthetic

if TYPE_CHECKING:
    from mho.explore.finding import Finding, Probe

WORDS: dict[str, tuple[str, Tone]] = {
    "within": ("kept", "good"),
    "beyond": ("lost", "bad"),
    "open": ("undecided", "warn"),
}


def _line(probe: Probe) -> tuple[str, ...]:
    loss, at = probe.loss, f"{probe.value:g}"
    if loss.proven:
        return at, "0", "–", "–", "–", "exact, whatever the inputs"
    # Not -0.00.
    lost = f"{round(100 * loss.share, 2) + 0.0:.2f}"
    between = f"{100 * loss.low:.2f} to {100 * loss.high:.2f}"
    return at, lost, between, str(loss.samples), str(loss.chips), WORDS[probe.side][0]


def view(found: Finding) -> View:
    """Return the view of a finding."""
    subject, boundary = found.subject, found.boundary
    probes = sorted(boundary.probes, key=lambda probe: probe.value)
    undecided = []
    if not boundary.decided:
        more = (
            "more of them, or more chips (--seeds), may"
            if any(p.loss.chips > 1 for p in probes)
            else "more of them may"
        )
        words = f"The samples do not decide at every value that the answer rests on; {more}."
        undecided.append(Sentence(words, "warn"))
    table = Table(
        title="Value by value",
        heads=("value", "points lost", "95 % interval", "samples", "chips", "accuracy"),
        lines=[_line(probe) for probe in probes],
        prose=True,
        tones={number: WORDS[probe.side][1] for number, probe in enumerate(probes)},
    )
    return View(
        f"{subject.model} on {found.chip['name']}: how far {found.key} may go",
        (table, listing(found.analog.to_dict()), notes_of(found.notes)),
        about(subject, found.version, most="up to "),
        (*synthetic(subject.weights_origin), *undecided),
        said=found.sentence,
    )
