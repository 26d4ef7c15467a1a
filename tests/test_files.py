"""Files are bounded before they are read, and written whole over nothing but a regular file."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import ChipError, MhoError, NetworkError, OutputError, one_line, printable
from mho.files import archive, text
from mho.files.store import Store
from mho.files.writing import check_file, check_folder, save_files, write_text, write_whole
from mho.network.trace import synthesise
from tests.fuzz.corpus import bomb
from tests.strategies import GREEDY

CONTENT = "ours\n"


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only the superuser makes devices")


def put_link(path: Path) -> None:
    path.with_name("target").write_text("theirs")
    path.symlink_to("target")


def put_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def put_folder(path: Path) -> None:
    path.mkdir()


DOORS: dict[str, Callable[[Path], object]] = {
    "write_whole": lambda path: write_whole(path, lambda stream: stream.write(b"x")),
    "write_text": lambda path: write_text(path, CONTENT),
    "save_files": lambda path: save_files({"other": CONTENT, path.name: CONTENT}, path.parent),
    "check_file": check_file,
    "finished": lambda path: Store(path).put("key", {"x": 1}),
    "program": lambda path: mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="naive")).save(
        str(path)
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("put", [put_pipe, put_device, put_link, put_dangling, put_loop, put_folder])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, put: Callable[[Path], None], door: str) -> None:
    place = tmp_path / "place"
    put(place)
    before = {path.name: (path.lstat().st_ino, path.lstat().st_mode) for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="cannot be written: it is a"):
        DOORS[door](place)
    assert {path.name: (path.lstat().st_ino, path.lstat().st_mode) for path in tmp_path.iterdir()} == before


@pytest.fixture(scope="module")
def report() -> mho.Report:
    return mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="naive")))


@pytest.mark.parametrize("name", ["report.html", "report.json", "trace.json"])
def test_a_report_follows_no_link_out_of_its_folder(tmp_path: Path, report: mho.Report, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out" / name).symlink_to("../theirs")
    with pytest.raises(OutputError, match=f"{name}: cannot be written: it is a symbolic link"):
        mho.save(report, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == [name] and (tmp_path / "theirs").read_text() == "theirs"


def test_a_trace_follows_no_link(tmp_path: Path) -> None:
    trace = synthesise(5, 9, 2.0)
    (tmp_path / "theirs.npz").write_text("theirs")
    (tmp_path / "t.npz").symlink_to("theirs.npz")
    with pytest.raises(OutputError, match="symbolic link"):
        trace.save(tmp_path / "t.npz")
    assert (tmp_path / "theirs.npz").read_text() == "theirs"


def test_two_processes_that_write_into_one_new_folder_both_end_well(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mho.files.writing import *\n"
        "for n in range(200):\n"
        "    folder = Path(sys.argv[1]) / str(n) / 'out'\n"
        "    check_folder(folder); save_files({'a': sys.argv[2], 'b': sys.argv[2]}, folder)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(mho.__file__).parents[1])}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(which)], env=environment, stderr=subprocess.PIPE
        )
        for which in range(2)
    ]
    assert [each.communicate()[1] for each in started] == [b"", b""]
    assert {len(list(folder.rglob("*"))) for folder in tmp_path.iterdir()} == {3}


def test_a_regular_file_is_replaced_and_keeps_who_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, CONTENT)
    assert path.read_text() == CONTENT and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"):
        check_folder(tmp_path / ("n" * 300))
    write_text(tmp_path / ("n" * 255), CONTENT)
    assert (tmp_path / ("n" * 255)).read_text() == CONTENT


def test_a_folder_is_checked_without_being_made_so_that_two_processes_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that made and removed it would take it from under the other."""

    def made(*_: Any, **__: Any) -> None:
        raise AssertionError("a folder was made")

    monkeypatch.setattr(Path, "mkdir", made)
    check_folder(tmp_path / "new" / "deep")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_process_makes_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def twice(path: Path, *arguments: Any, **options: Any) -> None:
        mkdir(path)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", twice)
    save_files({"a": CONTENT}, tmp_path / "new" / "deep")
    assert (tmp_path / "new" / "deep" / "a").read_text() == CONTENT


def read(tmp_path: Path, content: str | bytes) -> dict[str, Any]:
    path = tmp_path / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return text.read_yaml(path, ChipError)


LAUGHS = "a: &a [1, 1]\n" + "\n".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]" for i in range(20)
)
BOMBS = {
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "questions": "? " * 100_000,
    "indented": "\n".join(" " * i + "a:" for i in range(2000)),
    "laughs": LAUGHS,
    "merged laughs": LAUGHS.replace("[1, 1]", "{k: 1}").replace("&", "&x").replace("*", "*x").replace("[*", "{<<: [*"),
    "itself": "a: &a [*a]",
    "merged itself": "a: &a {<<: *a}",
    "base 60": "a: 1" + ":1" * 100_000,
    "long word": "a: " + "b" * 100_000,
    "many": "a: [" + "1," * 300_000 + "]",
    "large": "a: b\n" + "#" * (text.MOST_BYTES + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_yaml_is_refused_before_it_is_built(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: Any, **__: Any) -> None:
        raise AssertionError("it was built")

    monkeypatch.setattr(text.yaml, "load", built)
    with pytest.raises(ChipError, match=r"x\.yaml"):
        read(tmp_path, BOMBS[name])


def test_a_description_may_repeat_and_nest_as_far_as_people_do(tmp_path: Path) -> None:
    content = read(tmp_path, "a: &a {k: [1, {l: [2]}]}\nb: *a\nc: {<<: *a, m: 3}\n")
    assert content["b"] == content["a"] and content["c"] == {"k": [1, {"l": [2]}], "m": 3}
    depth = text.MOST_DEPTH - 2
    assert read(tmp_path, f"a: {'[' * depth}{']' * depth}")


@given(st.integers(0, 200))
@settings(max_examples=20)
def test_json_is_as_deep_as_allowed_and_no_deeper(depth: int) -> None:
    content = "[" * depth + "1" + "]" * depth
    if depth <= text.MOST_DEPTH:
        assert text.parse_json(content) == json.loads(content)
    else:
        with pytest.raises(ValueError, match="too deep"):
            text.parse_json(content)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[1", '{"a": 1, "a": 2}', "9" * 5000, "\0"])
def test_broken_json_is_one_kind_of_error(content: str) -> None:
    with pytest.raises(ValueError):
        text.parse_json(content)


def test_lines_of_results_that_nest_without_end_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text(
        "[" * 100_000 + '\n{"key": "k", "x": 1}\n{"key": "l", "x": ' + "[" * 5000 + "\n"
    )
    assert Store(tmp_path / "results.jsonl").get("k", ["x"]) == {"x": 1}


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as held:
        for name, content in members.items():
            held.writestr(name, content)
    return path


def array(values: Any, header: str | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(values), allow_pickle=True)
    content = stream.getvalue()
    if header is None:
        return content
    size = int.from_bytes(content[8:10], "little")
    return content[:10] + header.ljust(size - 1).encode() + b"\n" + content[10 + size :]


def head(shape: str, kind: str = "'<i8'") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"


ARCHIVES: dict[str, tuple[dict[str, bytes], str]] = {
    "more than it holds": ({"x.npy": array([1, 2], head("(1000000000000,)"))}, "ends early"),
    "less than it holds": ({"x.npy": array([1, 2], head("(1,)"))}, "goes on"),
    "negative": ({"x.npy": array([1, 2], head("(-2,)"))}, "ends early"),
    "objects": ({"x.npy": array([{}, None])}, "objects of Python"),
    "no array": ({"readme": b"hello"}, "no array"),
    "no header": ({"x.npy": b"hello"}, "not a whole"),
    "no kind": ({"x.npy": array([1, 2], head("(2,)", "'x'"))}, "not a whole"),
    "brackets": ({"x.npy": array([1, 2], "(" * 60)}, "not a whole"),
    "no bytes": ({"x.npy": array(np.zeros(0, "S1"), head("(10000000000,)", "'|S0'"))}, "values without bytes"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_whose_headers_lie_is_refused_when_it_is_opened(tmp_path: Path, name: str) -> None:
    members, said = ARCHIVES[name]
    with pytest.raises(NetworkError, match=said):
        archive.Npz(zipped(tmp_path / "x.npz", members), NetworkError)


def test_a_zip_bomb_is_refused_by_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three megabytes of samples that would be three gigabytes."""
    path = tmp_path / "bomb.npz"
    path.write_bytes(bomb("x.npy", 3 * 10**9))
    assert path.stat().st_size < 4 * 10**6
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(NetworkError, match=r"unpack to 2,999,\d+,\d+; at most 29\d,\d+,\d+"):
        archive.Npz(path, NetworkError)
    with pytest.raises(MhoError, match="unpack to"):
        mho.Program.load(str(path))


def test_other_ways_to_compress_are_refused(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(NetworkError, match="deflate"):
            archive.Npz(zipped(tmp_path / "x.npz", {"x.npy": array([1])}, method), NetworkError)


@given(
    st.sampled_from(["f4", "i8", "u1", ">i2", "U3", "?", "c8"]), st.lists(st.integers(0, 4), max_size=4), st.booleans()
)
@settings(max_examples=40)
def test_arrays_are_read_as_numpy_reads_them(
    tmp_path_factory: pytest.TempPathFactory, kind: str, shape: list[int], order: bool
) -> None:
    values = np.arange(int(np.prod(shape))).astype(kind).reshape(shape)
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    np.savez_compressed(path, x=values.copy(order="F" if order else "C"))
    held = archive.Npz(path, NetworkError)
    assert held.headers["x"].shape == values.shape and held.headers["x"].dtype == values.dtype
    assert (held["x"] == values).all() and held["x"].flags.writeable


def test_what_no_machine_holds_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(bomb("x.npy", 10**9))
    with pytest.raises(MemoryError, match=r"takes 1000000\.0 GB"):
        archive.check_memory(1e15, "array 'x'")


@pytest.mark.parametrize("place", ["pipe", "folder", "missing"])
def test_only_regular_files_are_read(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for reader in (text.read_yaml, text.read_text, archive.Npz):
        with pytest.raises(ChipError, match="cannot be read"):
            reader(tmp_path / place, ChipError)


@given(st.text(max_size=400), st.integers(20, 300))
@settings(max_examples=100)
def test_one_line_is_one_line(words: str, longest: int) -> None:
    line = one_line(words, longest)
    assert len(line) <= longest and len(line.splitlines()) <= 1
    line.encode()
    assert printable(line) == line
    if len(printable(words)) <= longest:
        assert line == " ".join(printable(words).split())


def test_characters_that_a_terminal_obeys_are_escapes() -> None:
    assert printable("a\x1b[31mb\x07\x9b\u202ec\udc80") == "a\\x1b[31mb\\x07\\x9b\\u202ec\\udc80"
    assert printable("a\nb") == "a\\nb" and printable("a\nb", lines=True) == "a\nb"
    assert printable("Größe, 量子 🙂") == "Größe, 量子 🙂"


def test_results_are_finite_and_their_names_plain() -> None:
    assert json.loads(text.json_text({"a\x9b\u2028\udc80": [1.5, None]})) == {"a\x9b\u2028\udc80": [1.5, None]}
    assert "\x9b" not in text.json_text("\x9b")
    with pytest.raises(OutputError, match=r"parts\.1\.watt is not finite"):
        text.json_text({"parts": [{"watt": 1.0}, {"watt": float("inf")}]})
