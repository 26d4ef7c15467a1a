"""Whether another tree of mho gives the same figures: python -m benchmarks.same OLD, where OLD is a folder with a checkout.

Both trees run the commands of benchmarks.same_cases; every JSON that these write is compared key by key. What a tree wrote
is kept in its out/same, by its sources and the case, so that only what is new runs again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.files import ROOT, fingerprint
from benchmarks.same_cases import in_options, steps
from benchmarks.same_tree import DONE

LAST_DIGITS = 1e-12
"""Numbers whose difference over the larger is at most this differ by the order of sums alone."""

MOVED = {
    "options.mapping": "strategy.mapping.choice",
    "options.packing": "strategy.mapping.packing",
    "options.turns": "strategy.mapping.turns",
    "options.residency": "strategy.residency.choice",
    "options.banks": "strategy.banks.choice",
    "options.alignment": "strategy.alignment.choice",
    "options.low_cell": "strategy.low_cell.choice",
    "options.placement": "strategy.placement.choice",
    "options.objective": "strategy.schedule.objective",
    "options.effort": "strategy.schedule.effort",
    "options.time_limit_s": "strategy.schedule.time_limit_s",
    "options.seed": "strategy.schedule.seed",
}
"""Keys of trees without strategies, and where the same stands now."""

BLOCKS = re.compile(r"\bblocks (\d+)(?:\.\.(\d+))?")
"""In the listing of a program: blocks of a layer, and since mappings own their blocks, runs of the mapping's."""

PLACE = re.compile(r"\[\d+\]")

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")

CLOCK = "processors/time/cpu/"
"""Rows of a study whose id begins so were timed on the machine that runs."""

KINDS = ("equal", "last digits", "words", "only old", "only new", "figure")


@dataclass
class Differences:
    """What two values have in common and what not, by kind: counts of all, and the paths and values of what differs."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, path: str, old: Any = None, new: Any = None) -> None:
        """Count a finding, and keep what is to be shown of it."""
        self.counts[kind] += 1
        if kind == "equal":
            return
        shown = {"only old": short(old), "only new": short(new)}.get(kind, f"{short(old)} -> {short(new)}")
        self.lines[kind].append((path, shown))


def short(value: Any) -> str:
    """Return a value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"


def compare(old: Any, new: Any, path: str, into: Differences) -> None:
    """Compare two values key by key; lists of texts of different lengths are compared as what stands in one alone."""
    if isinstance(old, dict) and isinstance(new, dict):
        if str(old.get("id", "")).startswith(CLOCK) and old.get("id") == new.get("id"):
            return
        for key in [*old, *(key for key in new if key not in old)]:
            here = f"{path}.{key}" if path else key
            if key not in new:
                _alone("only old", old[key], here, into)
            elif key not in old:
                _alone("only new", new[key], here, into)
            else:
                compare(old[key], new[key], here, into)
    elif isinstance(old, list) and isinstance(new, list):
        _compare_lists(old, new, path, into)
    else:
        into.note(_kind(old, new), path, old, new)


def _alone(kind: str, value: Any, path: str, into: Differences) -> None:
    into.note(kind, path, value, value)


def _compare_lists(old: list[Any], new: list[Any], path: str, into: Differences) -> None:
    texts = all(isinstance(each, str) for each in (*old, *new))
    if texts and len(old) != len(new):
        for kind, one, other in (("only old", old, new), ("only new", new, old)):
            for text in (Counter(one) - Counter(other)).elements():
                _alone(kind, text, path, into)
        into.counts["equal"] += (Counter(old) & Counter(new)).total()
        return
    before, after = _by_id(old), _by_id(new)
    if before and after:
        compare(before, after, path, into)
        return
    if len(old) != len(new):
        into.note("figure", f"{path} (length)", len(old), len(new))
    for i, (one, other) in enumerate(zip(old, new, strict=False)):
        compare(one, other, f"{path}[{i}]", into)


def _by_id(values: list[Any]) -> dict[str, Any]:
    """Return a study's rows by their ids; empty for a list of anything else."""
    named = {each["id"]: each for each in values if isinstance(each, dict) and "id" in each}
    return named if len(named) == len(values) else {}


def _kind(old: Any, new: Any) -> str:
    """Say how two single values differ. Texts with the same numbers in them differ in words alone."""
    if type(old) is type(new) and old == new:
        return "equal"
    if isinstance(old, str) and isinstance(new, str):
        return "words" if NUMBER.findall(old) == NUMBER.findall(new) else "figure"
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (old, new))
    if numbers and math.isclose(old, new, rel_tol=LAST_DIGITS, abs_tol=0):
        return "equal" if old == new else "last digits"
    return "figure"


def translated(old: Any) -> Any:
    """Say in today's keys what a tree without strategies wrote."""
    if isinstance(old, list):
        return [translated(each) for each in old]
    if not isinstance(old, dict):
        return _counted(old) if isinstance(old, str) else old
    said: dict[str, Any] = {}
    for key, value in old.items():
        if key != "options" or "mapping" not in value:
            said[key] = translated(value)
            continue
        for option, each in value.items():
            *parents, last = MOVED.get(f"options.{option}", f"options.{option}").split(".")
            inner = said
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = each
    return said


def _counted(text: str) -> str:
    """Say how many blocks a write is of, in place of which."""
    return BLOCKS.sub(lambda match: f"blocks x{int(match[2] or match[1]) - int(match[1]) + 1}", text)


def counted(value: Any) -> Any:
    """Say of all texts in a value how many blocks they name, in place of which."""
    if isinstance(value, dict):
        return {key: counted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [counted(each) for each in value]
    return _counted(value) if isinstance(value, str) else value


def has_strategies(tree: Path) -> bool:
    """Whether a tree says the choices of compiling as a strategy."""
    return (tree / "src" / "mho" / "strategy").is_dir()


def place(tree: Path) -> Path:
    """Return the folder of what a tree wrote, by its sources; what earlier sources wrote is removed."""
    kept = tree / "out" / "same"
    package = tree / "src" / "mho"
    data = "".join(f"{path.name}{path.read_bytes()!r}" for path in sorted(package.rglob("*.y*ml")))
    folder = kept / fingerprint((package,), data)
    for other in kept.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    return folder


def keyed(name: str, case: list[tuple[str, str]]) -> str:
    """Return the name of a case's folder: another step is another folder."""
    return f"{name}.{sha256(json.dumps(case).encode()).hexdigest()[:8]}"


def run(tree: Path, cases: Mapping[str, list[tuple[str, str]]], said: str) -> None:
    """Run the cases that a tree has not run yet, and say each on standard error."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "same_tree.py"), str(place(tree))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(dict(cases)))
        process.stdin.close()
        for done, line in enumerate(process.stdout, 1):
            sys.stderr.write(f"{said:>3} {done:>2}  {line.split('.')[0].strip()}\n")
    if process.returncode:
        raise SystemExit(f"benchmarks.same: the cases of {tree} ended with exit code {process.returncode}")


def written(folder: Path) -> Iterator[tuple[str, Any]]:
    """Read what a case wrote: every JSON and CSV file, by its path; samples that it copied are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name == DONE or name.parts[0] == "samples" or "work" in name.parts:
            continue
        if path.suffix == ".json":
            yield str(name), json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".csv":
            yield str(name), list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def compared(old: Path, new: Path, *, translate: bool) -> Differences:
    """Compare what one case wrote in both trees."""
    into = Differences()
    ends = [json.loads((folder / DONE).read_text(encoding="utf-8"))["error"] for folder in (old, new)]
    if any(ends):
        into.note("figure" if ends[1] else "only new", "how the commands end", ends[0] or "well", ends[1] or "well")
    if ends[0]:
        return into
    before, after = dict(written(old)), dict(written(new))
    for name in sorted({*before, *after}):
        if name not in after or name not in before:
            _alone("only old" if name in before else "only new", name, name, into)
        else:
            one, other = before[name], after[name]
            compare(translated(one) if translate else one, counted(other) if translate else other, f"{name} ", into)
    return into


def main(arguments: list[str] | None = None) -> int:
    """Run both trees, compare, and print what differs; 1 where a figure does."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same",
        description="Run commands of mho in this tree and in another, and compare every JSON that they write, key by key. "
        "Exit code 1 where a figure differs. What ran is kept in out/same of either tree: the next call runs only what is new.",
        epilog="git worktree add --detach /tmp/before COMMIT makes a tree to compare with.",
    )
    parser.add_argument("old", metavar="OLD", type=Path, help="the other tree: a folder with a checkout of mho")
    parser.add_argument("--only", metavar="NAME", action="append", help="this case alone; may be repeated")
    parser.add_argument(
        "--most",
        metavar="N",
        type=int,
        default=20,
        help="lines shown of each kind, and of each case that differs in figures (else %(default)s)",
    )
    chosen = parser.parse_args(arguments)
    old = chosen.old.resolve()
    if not (old / "src" / "mho").is_dir():
        parser.error(f"{chosen.old}: no checkout of mho (no src/mho in it)")
    cases = steps(ROOT)
    for name in chosen.only or ():
        if name not in cases:
            parser.error(f"unknown case {name!r}; known: {', '.join(cases)}")
    cases = {name: case for name, case in cases.items() if not chosen.only or name in chosen.only}
    translate = has_strategies(ROOT) and not has_strategies(old)
    before = {
        name: [(kind, in_options(text) if translate else text) for kind, text in case] for name, case in cases.items()
    }
    folders: dict[str, dict[str, Path]] = {}
    threads = []
    for said, tree, its in (("old", old, before), ("new", ROOT, cases)):
        named = {keyed(name, case): case for name, case in its.items()}
        folders[said] = {name: place(tree) / keyed(name, case) for name, case in its.items()}
        threads.append(threading.Thread(target=run, args=(tree, named, said)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return report(
        {name: compared(folders["old"][name], folders["new"][name], translate=translate) for name in cases}, chosen.most
    )


def report(found: Mapping[str, Differences], most: int) -> int:
    """Print a row of counts for each case, and then what differs; 1 where a figure does.

    What is not a figure is told once for all cases and places of a list.
    """
    width = max(len(name) for name in found)
    sys.stdout.write(f"{'case':<{width}}  {'  '.join(f'{kind:>11}' for kind in KINDS)}\n")
    for name, differences in found.items():
        row = "  ".join(f"{differences.counts[kind] or '':>11}" for kind in KINDS)
        sys.stdout.write(f"{name:<{width}}  {row}".rstrip() + "\n")
    for kind in KINDS[1:-1]:
        lines: dict[str, list[str]] = {}
        for name, differences in found.items():
            for path, values in differences.lines[kind]:
                lines.setdefault(PLACE.sub("[]", path), []).append(f"{name} {values}")
        _listed(kind, [f"{path}, {len(said)} times: {said[0]}" for path, said in lines.items()], most)
    for name, differences in found.items():
        _listed(f"{name}, figure", [f"{path}: {values}" for path, values in differences.lines["figure"]], most)
    total = sum((differences.counts for differences in found.values()), Counter[str]())
    sys.stdout.write("\n" + ", ".join(f"{kind} {total[kind]}" for kind in KINDS) + "\n")
    return 1 if total["figure"] else 0


def _listed(title: str, lines: list[str], most: int) -> None:
    if lines:
        more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
        sys.stdout.write(f"\n{title}:\n" + "".join(f"  {line}\n" for line in [*lines[:most], *more]))


if __name__ == "__main__":
    sys.exit(main())
