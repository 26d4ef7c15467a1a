"""Whether a program is right, as a person should see it: the verdict, its condition, and on what it rests."""

from __future__ import annotations

from mho.machine.verify import Verification
from mho.report.sections import Sentence, Tone, View

INDENT = "    "
"""Before what stands under the verdict in a terminal."""


def view(verification: Verification) -> View:
    """Return the view of a verification."""
    condition: Tone = "good" if verification.resolution.complete else "warn"
    return View(
        f"{'ok' if verification.ok else 'WRONG'}  {verification.headline()}",
        (),
        sentences=[
            *(Sentence(f"{INDENT}{remark}", condition) for remark in verification.remarks),
            *(Sentence(f"{INDENT}{name}: {said}") for name, said in verification.facts()),
        ],
        tone="good" if verification.ok else "bad",
    )
