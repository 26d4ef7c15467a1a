"""Files of the benchmarks: results beside the code, tables in the documentation, partial results in a scratch folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mho.files.writing import write_whole

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / "out" / "benchmarks"
"""Partial results; the folder is ignored by git and may be deleted at any time."""

BEGIN = "<!-- measured: begin (written by a command; do not edit) -->"
END = "<!-- measured: end -->"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file, or one that was cut off, is an empty object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda stream: stream.write(text.encode()))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, readable and the same for the same content."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def measured_part(page: str, path: str = "page") -> str:
    """Return what stands between the markers of a page; ValueError where it does not have each exactly once."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{path}: needs exactly one line {BEGIN!r} and after it one line {END!r}")
    return page.split(BEGIN, 1)[1].split(END, 1)[0].strip("\n")


def with_measured_part(page: str, text: str, path: str = "page") -> str:
    """Replace what stands between the markers of a page."""
    measured_part(page, path)
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{text.strip(chr(10))}\n\n{END}{after}"


def apart(module: str, case: str) -> Any:
    """Measure one case in a process of its own, `python -m MODULE --only CASE`, and return the JSON that it prints."""
    command = [sys.executable, "-m", module, "--only", case]
    made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return json.loads(made.stdout)


def write_measured(path: Path, text: str) -> None:
    """Put a rendered table into a page of the documentation."""
    write_text(path, with_measured_part(path.read_text(encoding="utf-8"), text, str(path)))


def tree(path: Path | None = None) -> dict[str, str]:
    """Return commit and day of the working tree, or of the last change of a file in it; empty outside git."""
    command = ["git", "log", "-1", "--format=%h %cs", *([] if path is None else ["--", str(path)])]
    made = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT).stdout.split()
    return {"commit": made[0], "day": made[1]} if len(made) == 2 else {}


def fingerprint(folders: Iterable[Path], *more: str) -> str:
    """Digest of source files: partial results are continued only with the code that began them."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    for text in more:
        digest.update(text.encode())
    return digest.hexdigest()[:16]
