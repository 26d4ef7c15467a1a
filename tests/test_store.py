"""Stores of finished work: what is written grows with the records, and is there after any interruption; what code it rests on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import OutputError
from mho.files import sources
from mho.files.sources import code_digest, files_of
from mho.files.store import Store

RECORDS = 2000
HOUSE = Path(mho.__file__).parent


def test_the_bytes_written_grow_with_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted at the system's call: each record is written once, whatever stands before it."""
    written: list[int] = []
    write = os.write

    def counted(handle: int, content: bytes) -> int:
        written.append(len(content))
        return write(handle, content)

    monkeypatch.setattr(os, "write", counted)
    store = Store(tmp_path / "results.jsonl")
    for number in range(RECORDS):
        store.put(f"key {number:6}", {"x": f"{number:6}"})
    assert len(written) == RECORDS and len(set(written)) == 1
    assert sum(written) == (tmp_path / "results.jsonl").stat().st_size
    assert len(Store(tmp_path / "results.jsonl")) == RECORDS


@given(st.integers(0, 200), st.lists(st.integers(0, 9), max_size=6))
@settings(max_examples=40)
def test_an_interruption_harms_the_last_line_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int, later: list[int]
) -> None:
    path = tmp_path_factory.mktemp("store") / "results.jsonl"
    store = Store(path)
    for number in range(5):
        store.put(f"key {number}", {"x": number})
    content = path.read_bytes()
    path.write_bytes(content[: max(len(content) - cut, 0)])
    whole = path.read_bytes().count(b"\n")
    again = Store(path)
    # A line that lacks nothing but its end is whole too.
    assert whole <= len(again) <= whole + 1
    for number in later:
        again.put(f"later {number}", {"y": number})
    read = Store(path)
    assert all(read.get(f"later {number}", ("y",)) == {"y": number} for number in later)
    assert all(read.get(f"key {number}", ("x",)) == {"x": number} for number in range(whole))


def test_the_later_of_two_records_counts_and_two_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    first, second = Store(path), Store(path)
    for number in range(20):
        first.put(f"a {number}", {"x": number})
        second.put(f"b {number}", {"x": number})
    second.put("a 3", {"x": -1})
    read = Store(path)
    assert len(read) == 40 and read.get("a 3", ("x",)) == {"x": -1}
    assert "a 3" in read and "c 3" not in read and read.get("a 3", ("x", "y")) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers()), max_size=30), st.permutations(range(12)))
@settings(max_examples=60)
def test_a_store_in_a_file_is_a_dictionary_that_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, int]], order: list[int]
) -> None:
    """What is put is what is there: in memory, in a file, in the file read again, and in any order that is asked for."""
    path = tmp_path_factory.mktemp("store") / "results.jsonl"
    stores = [Store(), Store(path)]
    model: dict[str, dict[str, int]] = {}
    for key, value in puts:
        model[str(key)] = {"x": value}
        assert [store.put(str(key), {"x": value}) for store in stores] == [{"x": value}] * 2
    first = [str(key) for key in order if str(key) in model][:4]
    arranged = {key: model[key] for key in first} | {key: value for key, value in model.items() if key not in first}
    for expected in (model, arranged):
        for store in [*stores, Store(path)]:
            assert list(store.records()) == list(expected.values())
            assert {key: store.get(key, ("x",)) for key in model} == model
            assert len(store) == len(model) and all((str(key) in store) == (str(key) in model) for key in range(12))
        for store in stores:
            store.arrange([*first, "none"])
    written = path.stat().st_mtime_ns if model else 0
    Store(path).arrange(first)
    if model:
        assert path.stat().st_mtime_ns == written, "it is in order already"
        lines = [json.dumps({"key": key, **record}) + "\n" for key, record in arranged.items()]
        assert path.read_text() == "".join(lines)


def test_a_store_follows_a_file_that_another_arranges(tmp_path: Path) -> None:
    """The places that it holds are then those of other lines."""
    path = tmp_path / "results.jsonl"
    store = Store(path)
    for number in range(20):
        store.put(f"key {number}", {"x": "x" * number})
    path.write_bytes(path.read_bytes() + b'{"key": "torn')
    Store(path).arrange(f"key {number}" for number in reversed(range(20)))
    assert path.read_bytes().count(b"\n") == 20 and path.read_bytes().endswith(b"\n")
    assert [store.get(f"key {number}", ("x",)) for number in range(20)] == [{"x": "x" * number} for number in range(20)]
    store.put("later", {"x": "y"})
    path.unlink()
    assert store.get("later", ("x",)) is None and len(store) == 0


def test_a_store_that_cannot_be_arranged_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when all is written but its end."""
    store = Store(tmp_path / "results.jsonl")
    for number in range(5):
        store.put(str(number), {"x": number})
    before = (tmp_path / "results.jsonl").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        store.arrange(["3", "1"])
    assert (tmp_path / "results.jsonl").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    assert list(store.records()) == [{"x": number} for number in range(5)]


def test_a_store_holds_no_records_of_its_file(tmp_path: Path) -> None:
    """Ten megabytes of records, of which a tenth would be too much; counted as Python allocates."""
    store = Store(tmp_path / "results.jsonl")
    tracemalloc.start()
    try:
        for number in range(1000):
            store.put(str(number), {"x": f"{number:10000}"})
        read = Store(tmp_path / "results.jsonl")
        assert sum(len(record["x"]) for record in read.records()) == 1000 * 10000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_link_put_in_the_place_of_a_store_is_not_followed(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.jsonl")
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "results.jsonl").symlink_to("theirs")
    with pytest.raises(OutputError, match="a symbolic link"):
        store.put("key", {"x": 1})
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_store_that_is_killed_keeps_what_was_put(tmp_path: Path) -> None:
    """By SIGKILL, between two records."""
    code = (
        "import os, signal, sys\nfrom mho.files.store import Store\nstore = Store(sys.argv[1])\n"
        "for number in range(50):\n    store.put(f'key {number}', {'x': number})\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "results.jsonl")], check=False)
    assert done.returncode == -9
    assert len(Store(tmp_path / "results.jsonl")) == 50


def executed(run: Any) -> set[Path]:
    """Return the files of mho of which functions are called while `run` runs."""
    called: set[str] = set()

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(before)
    return {Path(name) for name in called if Path(name).is_relative_to(HOUSE)} - {HOUSE / "__init__.py"}


def compile_and_simulate() -> None:
    """What a study measures, in small; its code is that of this file's module."""
    chip = mho.Chip.load("aras").override({"tiles": 2}, source="small")
    mho.simulate(
        mho.compile(mho.zoo.load("resnet20"), chip, mho.Strategy().with_(schedule="aras", banks="greedy"))
    ).to_dict()


def test_the_code_of_a_result_holds_every_file_that_runs() -> None:
    """Found by reading sources, judged by running: no function is called in a file that the digest does not cover."""
    compile_and_simulate()
    ran = executed(compile_and_simulate)
    known = files_of("mho.machine.report") | files_of("mho.schedule.compile") | files_of("mho.network.zoo")
    assert len(ran) > 40
    assert ran <= known | files_of("mho.chip.chip"), sorted(ran - known)
    assert HOUSE / "chip" / "scaling.yaml" in files_of("mho.chip.chip"), "data that a module names beside it"


def test_a_name_is_followed_to_the_module_that_defines_it() -> None:
    """So that what a package holds besides does not count."""
    assert sources._defining("mho", "Chip") == "mho.chip.chip"
    assert sources._defining("mho", "zoo") == "mho.network.zoo"
    chips = files_of("mho.chip.chip")
    assert HOUSE / "chip" / "units.py" in chips or HOUSE / "quantity.py" in chips
    assert not {path for path in chips if "report" in path.parts or "schedule" in path.parts}
    assert HOUSE / "report" / "html.py" not in files_of("mho.machine.functional")


def test_other_code_leaves_the_digest_of_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a house of four files: a imports b in a function, and c for types alone; d is named in a text."""
    house = tmp_path / "mho"
    house.mkdir()
    (house / "__init__.py").write_text("")
    (house / "a.py").write_text(
        "if TYPE_CHECKING:\n    from mho.c import C\n\ndef f():\n    from mho.b import g\n\nD = 'mho.d:choice'\n"
    )
    for name in "bcd":
        (house / f"{name}.py").write_text("x = 1\n")

    def digest() -> str:
        for each in vars(sources).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()
        return code_digest("mho.a")

    monkeypatch.setattr(sources, "ROOT", tmp_path)
    before = digest()
    (house / "c.py").write_text("x = 2\n")
    assert digest() == before
    for name in "abd":
        changed = (house / f"{name}.py").read_text() + "y = 2\n"
        (house / f"{name}.py").write_text(changed)
        assert digest() != before
        before = digest()
    monkeypatch.undo()
    digest_again = {each.cache_clear() for each in vars(sources).values() if hasattr(each, "cache_clear")}
    assert digest_again == {None}


def test_lines_are_json_that_others_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.jsonl")
    store.put("k", {"name": "ARAS é\u2028"})
    (line,) = (tmp_path / "results.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert json.loads(line) == {"key": "k", "name": "ARAS é\u2028"}
