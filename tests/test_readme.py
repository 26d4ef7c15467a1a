"""The README runs as it is printed: every line of its shell blocks, and its Python block, in a folder where nothing is yet.

A line that says `minutes` in its remark is left out, and so are those that a shell alone understands (make, activate): of them
it is checked that what they name is there. What follows `#>` under a line is part of what the line prints.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command_line import Shell

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Line:
    """A line of a shell block: the command, the remark behind it, and what it is said to print."""

    command: str
    remark: str
    prints: tuple[str, ...]


def lines(text: str) -> Iterator[Line]:
    """Read the shell blocks, which are indented by four."""
    command, remark, prints = "", "", []
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for line in plain.splitlines():
        if not line.startswith("    ") or line.lstrip() != line[4:]:
            continue
        if line[4:].startswith("#>"):
            prints.append(line[4:].removeprefix("#>").strip())
            continue
        if command:
            yield Line(command, remark, tuple(prints))
        command, _, remark = (part.strip() for part in line.partition(" # "))
        prints = []
    if command:
        yield Line(command, remark, tuple(prints))


LINES = tuple(lines(README))


def told(text: str) -> str:
    """Return a text whose blanks and ends of lines are all alike."""
    return " ".join(text.split())


def test_the_blocks_are_read() -> None:
    assert len(LINES) > 20
    assert all(re.match(r"mho |make |\. ", line.command) for line in LINES)
    assert sum(len(line.prints) for line in LINES) >= 4


def test_what_is_left_out_is_there_and_says_so() -> None:
    makefile, ignored = (ROOT / "Makefile").read_text(), (ROOT / ".gitignore").read_text()
    for line in LINES:
        if line.command.startswith("make "):
            assert re.search(rf"^{line.command.split()[1]}:", makefile, re.MULTILINE) and "minutes" in line.remark
        elif line.command.startswith(". "):
            assert line.command.split()[1].split("/")[0] + "/" in ignored and "VENV ?= .venv" in makefile
    for target in re.findall(r"`make (\w+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_line_runs_as_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shell = Shell(monkeypatch, capsys)
    (tmp_path / "out").mkdir()  # by make run
    for line in LINES:
        if line.command.startswith("mho ") and "minutes" not in line.remark:
            ended = shell(*shlex.split(line.command)[1:])
            assert (ended.code, ended.err) == (0, ""), (line.command, ended.err)
            for printed in line.prints:
                assert printed in told(ended.out), (line.command, told(ended.out)[:2000])
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    variables: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), variables)
    assert "bit-exact" in capsys.readouterr().out
    for name in re.findall(r"^(\w+) = ", block, flags=re.MULTILINE):
        assert variables[name] is not None


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for place in re.findall(r"\]\(([^)#]+)", README):
        assert "://" in place or os.path.exists(ROOT / place), place
