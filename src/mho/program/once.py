"""What is found of a program, or of what else never changes, is found once and stays with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Subject = TypeVar("Subject")
Found = TypeVar("Found")


def known(subject: object) -> dict[Callable[..., Any], Any]:
    """Return what functions have found of a subject, by function; the subject keeps it."""
    findings: dict[Callable[..., Any], Any] = vars(subject).setdefault("_known", {})
    return findings


def once(measure: Callable[[Subject], Found]) -> Callable[[Subject], Found]:
    """Make a function look at each subject once, whoever asks: what it finds stays with the subject.

    It must depend on nothing but the subject, which must never change; of a program, nor on where tensors live in the global
    buffer (`Program.with_buffers`). What it returns is shared, and must not be changed either.
    """

    @wraps(measure)
    def asked(subject: Subject) -> Found:
        findings = known(subject)
        if asked not in findings:
            findings[asked] = measure(subject)
        found: Found = findings[asked]
        return found

    return asked
