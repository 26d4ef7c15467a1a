"""Archives of arrays: samples, traces, programs."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import alter
from tests.fuzz.bench import Bench, kind


def _array(bench: Bench) -> np.ndarray[Any, Any]:
    shape = bench.pick(
        (), (0,), (1,), (3,), (3, 3, 6, 6), (3, 6, 6, 3), (1, 3, 6, 6), (0, 3, 6, 6), (3, 3, 6), (240,), (61,), (5, 5)
    )
    dtype = bench.pick(
        "f4", "f8", "i8", "u1", "i1", "?", "c16", "U3", "S3", "M8[s]", "f2", ">f4", "U0", "u8", "V4", "i4,f4"
    )
    array = np.zeros(shape, dtype)
    if dtype in ("f4", "f8", "i8", "u8") and array.size:
        array.flat[0] = bench.pick(0, 1, 2**31, 2**62) if dtype[0] in "iu" else bench.pick(0.0, np.nan, np.inf, 1e300)
    return array


def _npz(bench: Bench, name: str) -> bytes:
    """Return an archive with members changed, its headers lying, or its bytes altered."""
    with np.load(bench.right(name), allow_pickle=False) as held:
        arrays: dict[str, Any] = {key: held[key] for key in held.files}
    match bench.pick("data", "array", "array", "name", "header", "member", "objects", "bomb"):
        case "data":
            return alter.data(bench.rng, Path(bench.right(name)).read_bytes())
        case "bomb":
            return Path(bench.right("bomb.npz")).read_bytes()
        case "array":
            arrays[bench.pick(*arrays)] = _array(bench)
        case "objects":
            arrays[bench.pick(*arrays)] = np.array([{}, None], dtype=object)
        case "name":
            arrays[bench.pick("", "x/../y", "\x1b[31m", "n" * 9000, "labels", "ids", "names")] = arrays.pop(
                bench.pick(*arrays)
            )
        case "header":
            return _members(
                arrays, {bench.pick(*arrays): _lying(bench)}, bench.pick(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            )
        case "member":
            inside = bench.pick("x.npy", "weights.npy", "readme", "a/b.npy", "x.npz")
            return _members(arrays, {inside: bench.rng.randbytes(50)}, bench.pick(0, 8, 12, 14))
    out = io.BytesIO()
    np.savez(out, **(arrays or {"a": np.zeros(1)}))
    return out.getvalue()


def _lying(bench: Bench) -> bytes:
    shape = bench.pick("(1000000000000,)", "(-1,)", "(1,) * 9", "(1.5,)", "'x'", "(" * 200, "(10**9,)", "(2, 3")
    kind = bench.pick("'<f4'", "'|O'", "'<U99999999'", "'x'", "[('a', '<f4')]", "'<M8[s]'", "None")
    header = f"{{'descr': {kind}, 'fortran_order': {bench.pick('False', 'True', '1')}, 'shape': {shape}, }}\n".encode()
    version = bench.pick(b"\x01\x00", b"\x01\x00", b"\x09\x00")
    return b"\x93NUMPY" + version + struct.pack("<H", bench.pick(len(header), len(header), 65535)) + header + bytes(64)


def _members(arrays: dict[str, Any], changed: dict[str, bytes], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), changed.pop(name, part.getvalue()), archive.compression)
        for name, content in changed.items():
            archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return out.getvalue()


@kind(9)
def sample_file(bench: Bench) -> list[str]:
    """Samples."""
    name = bench.put("s.npz", _npz(bench, "samples.npz"))
    tiny = bench.right("tiny.onnx")
    more = bench.pick([], [], ["--key", bench.pick("x", "y", "z", "\x1b")])
    if bench.pick(True, False):
        return ["verify", tiny, "--schedule", "naive", "--data", name, *more]
    return ["accuracy", tiny, "--schedule", "naive", "--data", name, "--seeds", "1", *more]


@kind(12)
def trace_file(bench: Bench) -> list[str]:
    """A trace: arrays, text, or a table."""
    match bench.pick("npz", "npz", "csv", "csv", "csv", "parquet"):
        case "npz":
            name = bench.put("t.npz", _npz(bench, "trace.npz"))
        case "csv":
            content = Path(bench.right("trace.csv")).read_text()
            changed = (
                alter.text(bench.rng, content)
                if bench.pick(True, True, False)
                else alter.data(bench.rng, content.encode())
            )
            name = bench.put(bench.pick("t.csv", "t.tsv", "t.csv.gz"), changed)
        case _:
            name = bench.put("t.parquet", alter.data(bench.rng, Path(bench.right("trace.parquet")).read_bytes()))
    more = bench.pick(
        [],
        [],
        [],
        ["--compact"],
        ["--rows", "30"],
        ["--query", "row", "--row", "query"],
        ["--bag", "x", "--row", "y"],
        ["--query", "1", "--row", "2", "--time", "2"],
        ["--row", "1-2", "--skip-missing"],
        ["--basket"],
        ["--basket", "--query", "1"],
        ["--separator", ";"],
        ["--no-header", "--query", "2", "--row", "1"],
        ["--time", "row"],
    )
    if bench.pick(True, True, False):
        return ["trace", name, *more]
    return [
        "recommend",
        name,
        "--dimension",
        "8",
        "--design",
        "naive",
        *([] if "--rows" in more else more),
    ]


@kind(12)
def program_file(bench: Bench) -> list[str]:
    """A program: its bytes, its instructions, its arrays."""
    content = Path(bench.right("program.mho")).read_bytes()
    if bench.pick(True, False, False):
        name = bench.put("p.mho", alter.data(bench.rng, content))
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {each: archive.read(each) for each in archive.namelist()}
        if bench.pick(True, True, False):
            record = alter.tree(bench.rng, json.loads(members["program.json"]), bench.pick(1, 1, 3))
            members["program.json"] = json.dumps(record).encode("utf-8", "replace")
            if bench.rng.random() < 0.1:
                members["program.json"] = b"[" * 10**6
        else:
            part = io.BytesIO()
            np.lib.format.write_array(part, _array(bench), allow_pickle=False)
            members[bench.pick(*[each for each in members if each.endswith(".npy")])] = part.getvalue()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for each, held in members.items():
                archive.writestr(zipfile.ZipInfo(each), held, archive.compression)
        name = bench.put("p.mho", out.getvalue())
    data = ["--data", bench.right("samples.npz")]
    return bench.pick(
        ["list", name], ["verify", name], ["verify", name, *data], ["accuracy", name, *data, "--seeds", "1"]
    )
