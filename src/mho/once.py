"""What is found of a program, or of what else never changes, is found once and stays with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Subject = TypeVar("Subject")
More = ParamSpec("More")
Found = TypeVar("Found")


class Findings(dict[Any, Any]):
    """What functions have found of a subject. It stays in its process: a subject that goes to another one is looked at anew."""

    def __reduce__(self) -> tuple[type[Findings], tuple[()]]:
        """Pickle nothing of it: functions under which findings are kept need not be what their modules' names give."""
        return Findings, ()


def known(subject: object) -> Findings:
    """Return what functions have found of a subject, by function, or by function and arguments; the subject keeps it."""
    findings: Findings = vars(subject).setdefault("_known", Findings())
    return findings


def once(measure: Callable[Concatenate[Subject, More], Found]) -> Callable[Concatenate[Subject, More], Found]:
    """Make a function look at each subject once, whoever asks: what it finds stays with the subject.

    It must depend on nothing but the subject, which must never change, and on further arguments that can be keys; of a program,
    not on where tensors live in the global buffer (`Program.with_buffers`). What it returns is shared, and must not be changed
    either.
    """

    @wraps(measure)
    def remembered(subject: Subject, /, *more: More.args, **named: More.kwargs) -> Found:
        key = (remembered, *more, *named.items()) if more or named else remembered
        findings = known(subject)
        found: Found = findings.get(key, findings)
        if found is findings:
            found = findings[key] = measure(subject, *more, **named)
        return found

    return remembered
