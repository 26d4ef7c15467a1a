"""Whether a program is right, as a person should see it: the verdict, its condition, and on what it rests."""

from __future__ import annotations

from mho.machine.verify import Verification
from mho.report.sections import Sentence, Tone, View

INDENT = "    "
"""Before what stands under the verdict in a terminal."""


def view(found: Verification) -> View:
    """Return the view of a verification."""
    condition: Tone = "good" if found.resolution.complete else "warn"
    return View(
        f"{'ok' if found.ok else 'WRONG'}  {found.headline()}",
        (),
        sentences=[
            *(Sentence(f"{INDENT}{remark}", condition) for remark in found.remarks),
            *(Sentence(f"{INDENT}{name}: {said}") for name, said in found.facts()),
        ],
        tone="good" if found.ok else "bad",
    )
