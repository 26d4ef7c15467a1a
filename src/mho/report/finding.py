"""How far a parameter may go, as a person should see it: the sentence, and the values that were looked at in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mho.report.accuracy import about, listing, notes_of
from mho.report.sections import Sentence, Table, Tone, View, synthetic

if TYPE_CHECKING:
    from mho.explore.finding import Finding

WORDS: dict[str, tuple[str, Tone]] = {
    "within": ("kept", "good"),
    "beyond": ("lost", "bad"),
    "open": ("undecided", "warn"),
}


def _line(probe: Mapping[str, Any]) -> tuple[str, ...]:
    at, (low, high) = f"{probe['value']:g}", probe["interval"]
    if probe["proven"]:
        return at, "0", "–", "–", "–", "exact, whatever the inputs"
    # Not -0.00.
    lost = f"{round(100 * probe['loss'], 2) + 0.0:.2f}"
    between = f"{100 * low:.2f} to {100 * high:.2f}"
    return at, lost, between, str(probe["samples"]), str(probe["chips"]), WORDS[probe["side"]][0]


def view(finding: Finding) -> View:
    """Return the view of a finding."""
    content = finding.content
    probes = sorted(finding.records, key=lambda probe: float(probe["value"]))
    undecided = []
    if not content["decided"]:
        several = any(probe["chips"] > 1 for probe in probes)
        more = "more of them, or more chips (--seeds), may" if several else "more of them may"
        words = f"The samples do not decide at every value that the answer rests on; {more}."
        undecided.append(Sentence(words, "warn"))
    table = Table(
        title="Value by value",
        heads=("value", "points lost", "95 % interval", "samples", "chips", "accuracy"),
        lines=[_line(probe) for probe in probes],
        prose=True,
        tones={number: WORDS[probe["side"]][1] for number, probe in enumerate(probes)},
    )
    return View(
        f"{content['model']} on {content['chip']['name']}: how far {content['parameter']['key']} may go",
        (table, listing(content["analog"]), notes_of(content["notes"])),
        about(content, most="up to "),
        (*synthetic(content["weights_origin"]), *undecided),
        said=finding.sentence,
    )
