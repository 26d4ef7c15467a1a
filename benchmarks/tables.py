"""Results as tables of the documentation."""

from __future__ import annotations

from typing import Any


def accuracy_table(results: dict[str, Any]) -> str:
    return ""
