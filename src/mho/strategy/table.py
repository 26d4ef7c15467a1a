"""The table of all stages, choices and settings for docs/strategy.md: python -m mho.strategy.table writes it there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mho.strategy.choice import Setting, registered
from mho.strategy.stages import ALL_STAGES
from mho.strategy.strategy import about, strategies

BEGIN, END = "<!-- choices: begin -->", "<!-- choices: end -->"


def choices_table() -> str:
    """Return the choices of every stage, their settings, and the presets, as Markdown."""
    lines = [
        "| stage | choice | what it is | settings (usual value; what they take) | papers |",
        "|---|---|---|---|---|",
    ]
    for stage, declared in ALL_STAGES.items():
        for name, kind in registered(stage).items():
            settings = "; ".join(_setting(key, *setting, kind) for key, setting in kind.settings().items())
            mark = " (usual)" if name == declared.default else ""
            lines.append(
                f"| {stage} | `{name}`{mark} | {kind.summary()} | {settings or '–'} | {', '.join(kind.papers) or '–'} |"
            )
    lines += ["", "| preset | what it is | papers |", "|---|---|---|"]
    for name in strategies():
        preset = about(name)
        lines.append(f"| `{name}` | {preset['description']} | {', '.join(preset['papers']) or '–'} |")
    return "\n".join(lines)


def _setting(key: str, kind: Any, declared: Setting, choice: Any) -> str:
    default = next(item.default for item in choice.__dataclass_fields__.values() if item.name == key)
    return f"`{key}` ({'none' if default in (None, ()) else default}; {declared.demanded(kind)})"


def with_table(text: str) -> str:
    """Return a page with the table between its marks renewed."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{choices_table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/strategy.md")
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
