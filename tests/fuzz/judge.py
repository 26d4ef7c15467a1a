"""The law that every request obeys, however malformed."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

LONGEST = 300
MOST_BYTES = 3 * 10**9
"""Memory that a case may take beyond what its process had before."""
OUTPUTS = ("--json", "--csv", "--out", "--save")
Snapshot = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Ended:
    """How a case ended. `grown`: bytes of memory at the worst moment, beyond those at the start."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    before: Snapshot
    after: Snapshot
    scratch: tuple[str, ...]
    grown: int


def snapshot(folder: Path) -> Snapshot:
    """Return each path below a folder with its kind and content; links are not followed, pipes and devices not opened."""
    held: Snapshot = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            mode = path.lstat().st_mode
            content = path.read_bytes() if stat.S_ISREG(mode) else b""
            held[str(path.relative_to(folder))] = (
                stat.S_IFMT(mode), os.readlink(path).encode() if stat.S_ISLNK(mode) else content,
            )  # fmt: skip
    return held


def faults(ended: Ended) -> list[str]:
    """Return what a case did that no request may do."""
    wrong = []
    if ended.code not in _allowed(ended.words):
        wrong.append(f"exit code {ended.code}")
    for name, text in (("output", ended.out), ("error output", ended.err)):
        if "Traceback" in text:
            wrong.append(f"a traceback in {name}")
        if any((ord(each) < 32 and each != "\n") or 127 <= ord(each) < 160 for each in text):
            wrong.append(f"a control character in {name}")
    lines = ended.err.split("\n")
    if ended.code:
        one = len(lines) == 2 and not lines[1] and lines[0].startswith("mho: ") and len(lines[0]) <= LONGEST
        if not one and (ended.code != 1 or ended.err):
            wrong.append("not one line of error")
        if ended.code == 2 and ended.out:
            wrong.append("output beside an error")
    elif ended.err:
        wrong.append("error output of a success")
    if ended.scratch:
        wrong.append(f"left {', '.join(ended.scratch)}")
    wrong += _written(ended)
    if ended.code == 0 and ended.out.startswith("{") and "-" in ended.words:
        try:
            json.loads(ended.out, parse_constant=_refuse)
        except ValueError as error:
            wrong.append(f"output that is no JSON: {error}")
    if ended.grown > MOST_BYTES:
        wrong.append(f"{ended.grown / 1e9:.1f} GB of memory")
    return wrong


def _allowed(words: tuple[str, ...]) -> tuple[int, ...]:
    """Return the exit codes: 1 is for what --verify, or verify, found wrong."""
    return (0, 1, 2) if words[:1] == ("verify",) or "--verify" in words else (0, 2)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _written(ended: Ended) -> list[str]:
    """Return what was left, taken away or changed that was not asked for."""
    asked = [Path(value) for option, value in zip(ended.words, ended.words[1:], strict=False) if option in OUTPUTS]
    asked += [Path(word.partition("=")[2]) for word in ended.words if word.partition("=")[0] in OUTPUTS]
    asked += [Path(word) for word in ended.words[2:] if ended.words[0] == "init"]
    asked += [Path("samples"), Path("my-chip.yaml"), Path("my-analog.yaml")] if ended.words[:1] == ("init",) else []
    asked += [_behind(each, ended.before) for each in asked]
    wrong = []
    for name in sorted(ended.before.keys() | ended.after.keys()):
        old, new = ended.before.get(name), ended.after.get(name)
        if old == new:
            continue
        expected = any(Path(name) == each or each in Path(name).parents or Path(name) in each.parents for each in asked)
        if ended.code not in (0, 1) or not expected or (old is not None and not stat.S_ISREG(old[0])):
            wrong.append(f"{'left' if old is None else 'took away' if new is None else 'changed'} {name!r}")
    return wrong


def _behind(path: Path, before: Snapshot) -> Path:
    """Return what a path stands for whose first part is a link to a folder."""
    first, *rest = path.parts or (".",)
    kind, target = before.get(first, (0, b""))
    return Path(target.decode(), *rest) if stat.S_ISLNK(kind) else path
