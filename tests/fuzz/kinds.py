"""The registry: each kind of thing that is made wrong, and the requests that meet it.

A kind takes a generator, the corpus and the folder of the case, writes what it needs into the folder, and returns the words of a
request. Adding a kind is adding a function under `kind`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import random
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import typer.main
import yaml

from tests.fuzz import alter

RUN = ("run", "--schedule", "naive")


@dataclass(frozen=True)
class Bench:
    """What a case is made from: files that are right, and the folder that it runs in."""

    rng: random.Random
    corpus: Path
    folder: Path

    def right(self, name: str) -> str:
        """Return the path of a file that is right."""
        return str(self.corpus / name)

    def put(self, name: str, content: bytes) -> str:
        """Write a file into the folder of the case, and return its name."""
        (self.folder / name).write_bytes(content)
        return name

    def pick(self, *options: Any) -> Any:
        """Return one of the options."""
        return self.rng.choice(options)


Kind = Callable[[Bench], list[str]]
KINDS: dict[str, tuple[Kind, int]] = {}


def kind(weight: int) -> Callable[[Kind], Kind]:
    """Register a kind, which comes up as often as its weight says."""

    def register(make: Kind) -> Kind:
        KINDS[make.__name__] = make, weight
        return make

    return register


def make(seed: int, number: int, only: str | None, corpus: Path, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Make a case: the name of its kind, and the words of the request."""
    rng = random.Random(f"{seed} {number}")
    names = list(KINDS)
    name = rng.choices(names, [KINDS[each][1] for each in names])[0] if only is None else only
    words = KINDS[name][0](Bench(rng, corpus, folder))
    # What no shell can hand over.
    return name, tuple(word.replace("\0", "") for word in words)


@cache
def _options() -> dict[str, list[tuple[str, bool, bool]]]:
    """Return for each command its options: name, whether it takes a value, whether it is an output."""
    group: Any = importlib.import_module("mho.cli.app").__dict__["app"]
    if not hasattr(group, "commands"):
        group = typer.main.get_command(group)
    listing: dict[str, list[tuple[str, bool, bool]]] = {}
    for name, command in sorted(group.commands.items()):
        listing[name] = [
            (option, not each.is_flag, each.name in ("json_to", "csv_to", "out", "save"))
            for each in command.params
            if each.param_type_name == "option"
            for option in each.opts[:1]
        ]
    return listing


def _requests(bench: Bench) -> dict[str, list[str]]:
    """Return for each command a request that is right, and small."""
    tiny, samples, trace = bench.right("tiny.onnx"), bench.right("samples.npz"), bench.right("trace.npz")
    analog = ["--data", samples, "--samples", "1", "--seeds", "1", "--schedule", "naive"]
    return {
        "run": [*RUN, tiny],
        "compare": ["compare", tiny, "--schedule", "naive,overlap"],
        "verify": ["verify", tiny, "--schedule", "naive"],
        "accuracy": ["accuracy", tiny, *analog],
        "sweep": ["sweep", tiny, *analog, "--over", "adc.bits=5"],
        "baseline": ["baseline", tiny],
        "study": ["study", "none", "--out", "out"],
        "trace": ["trace", trace],
        "recommend": ["recommend", trace, "--dimension", "8", "--design", "one"],
        "models": ["models"],
        "chips": ["chips"],
        "devices": ["devices"],
        "show": ["show", "aras"],
        "list": ["list", bench.right("program.mho")],
        "init": ["init", "chip"],
    }


def _value(bench: Bench, option: str) -> str:
    """Return a value for an option: a word, a number, or a file of some kind."""
    files = sorted(each.name for each in bench.corpus.iterdir())
    kinds = ("word", "word", "word", "number", "file", "set")
    match bench.pick(*kinds):
        case "word":
            return str(bench.pick(*alter.WORDS))
        case "number":
            return str(bench.pick(*alter.NUMBERS))
        case "set":
            return f"{_key(bench)}={bench.pick(*alter.NUMBERS)}"
        case _:
            return bench.right(bench.pick(*files))


@cache
def _chip_keys() -> tuple[str, ...]:
    from mho.chip import Chip

    return (*(key for key in Chip.load("aras").provenance if not key[-1].isdigit()), "components.adc", "tiles", "x.y")


def _key(bench: Bench) -> str:
    analog = (
        "adc.bits",
        "adc.range",
        "adc.limit",
        "adc.gain_error",
        "seed",
        "age_s",
        "writes",
        "pedestal",
        "wires.row_ohm",
    )
    device = (
        "device.programming.sigma",
        "device.stuck.on_share",
        "device.g_on_s",
        "device.on_off",
        "device.read.sigma",
    )
    return str(
        bench.pick(
            bench.pick(*_chip_keys()), bench.pick(*analog), bench.pick(*device), f"chip.{bench.pick(*_chip_keys())}"
        )
    )


@kind(22)
def words(bench: Bench) -> list[str]:
    """Options with wrong, huge, empty or repeated values, unknown ones, too few and too many words."""
    listing = _options()
    command = bench.pick(*listing)
    request = list(_requests(bench).get(command, [command]))
    for _ in range(bench.pick(1, 1, 2, 3)):
        option, valued, output = bench.pick(*listing[command]) if listing[command] else ("--none", True, False)
        given = _value(bench, option)
        if output and given.startswith("/"):
            given = bench.pick("there/x", "x.json", "x.mho")  # Never outside the folder, nor over a right file.
        match bench.pick("value", "value", "value", "value", "bare", "unknown", "extra", "drop", "twice", "equals"):
            case "value":
                request += [option, given] if valued else [option]
            case "equals":
                request += [f"{option}={given}"]
            case "bare":
                request += [option]
            case "unknown":
                request += [option[: bench.rng.randrange(1, len(option))], given]
            case "extra":
                request.insert(bench.rng.randrange(1, len(request) + 1), str(bench.pick(*alter.WORDS)))
            case "drop":
                del request[bench.rng.randrange(len(request))]
            case "twice":
                request += [option, given, option, given] if valued else [option, option]
    return request if request[:1] != ["study"] or "none" in request else ["study", "none", "--out", "out"]


@kind(12)
def settings(bench: Bench) -> list[str]:
    """Values of --set and --over, in and out of their range."""
    key, value = _key(bench), bench.pick(*alter.NUMBERS, *alter.WORDS[:60])
    requests = _requests(bench)
    match bench.pick("show", "run", "accuracy", "sweep", "baseline"):
        case "show":
            return [
                "show",
                bench.pick("aras", "isaac", "sme", "recross"),
                "--set",
                f"{key.removeprefix('chip.')}={value}",
            ]
        case "run":
            return [*requests["run"], "--set", f"{key.removeprefix('chip.')}={value}"]
        case "accuracy":
            return [*requests["accuracy"], "--set", f"{key}={value}"]
        case "sweep":
            return [*requests["sweep"][:-2], "--over", f"{key}={value}"]
    keys = (
        "rows",
        "columns",
        "frequency_hz",
        "memory.bandwidth",
        "buffer.bank_bytes",
        "vector.lanes",
        "products",
        "sum_bytes",
    )
    return [*requests["baseline"], "--set", f"{bench.pick(*keys)}={value}"]


def _description(bench: Bench, name: str) -> bytes:
    """Return a YAML file made wrong: as bytes, as text, as a tree, or as a bomb."""
    content = Path(bench.right(name)).read_text()
    match bench.pick("data", "text", "text", "tree", "tree", "tree", "bomb"):
        case "data":
            return alter.data(bench.rng, content.encode())
        case "text":
            return alter.text(bench.rng, content)
        case "bomb":
            return (
                alter.yaml_bomb(bench.rng)
                if bench.pick(True, False)
                else content.encode() + b"\n" + alter.yaml_bomb(bench.rng)
            )
    changed = alter.tree(bench.rng, yaml.safe_load(content), bench.pick(1, 1, 2))
    return yaml.safe_dump(changed, allow_unicode=True).encode("utf-8", "surrogatepass")


@kind(14)
def chip_file(bench: Bench) -> list[str]:
    """A chip file."""
    name = bench.put("mine.yaml", _description(bench, "chip.yaml"))
    return bench.pick(["show", name], ["show", name, "--json", "-"], [*RUN, bench.right("tiny.onnx"), "--chip", name])


@kind(5)
def technology_file(bench: Bench) -> list[str]:
    """A technology beside a chip that uses it."""
    bench.put("own.yaml", _description(bench, "technology.yaml").replace(b"name: isaac-32nm", b"name: own"))
    chip = "extends: aras\nname: mine\nsources: {me: 'assumption: mine'}\ncomponents: {adc: {use: own, source: me}}\n"
    bench.put("mine.yaml", chip.encode())
    return ["show", "mine.yaml"]


@kind(9)
def analog_file(bench: Bench) -> list[str]:
    """An analog file, or a device."""
    which = bench.pick("analog.yaml", "device.yaml")
    name = bench.put("side.yaml", _description(bench, which))
    if which == "device.yaml":
        if bench.pick(True, False):
            return ["devices", name]
        name = bench.put("outer.yaml", b"schema: mho.analog/1\ndevice: side.yaml\n")
    return [*_requests(bench)["accuracy"], "--analog", name]


@kind(4)
def systolic_file(bench: Bench) -> list[str]:
    """A systolic array."""
    return [
        "baseline",
        bench.right("tiny.onnx"),
        "--systolic",
        bench.put("array.yaml", _description(bench, "systolic.yaml")),
    ]


@kind(6)
def decoder_file(bench: Bench) -> list[str]:
    """A decoder's configuration."""
    if bench.pick(True, False):
        name = bench.put("d.yaml", _description(bench, "decoder.yaml"))
    else:
        content = Path(bench.right("decoder.json")).read_bytes()
        changed = json.dumps(alter.tree(bench.rng, json.loads(content), bench.pick(1, 2)))
        bombs = ("[" * 100_000, '{"a":' * 100_000, "[]", "1", "NaN", content.decode()[:-1] + ', "layers": 1}')
        choices = (alter.data(bench.rng, content), changed.encode("utf-8", "replace"), bench.pick(*bombs).encode())
        name = bench.put("d.json", bench.pick(*choices, choices[1]))
    return [bench.pick("run", "verify"), name, "--schedule", "naive"]


@kind(14)
def onnx_file(bench: Bench) -> list[str]:
    """An ONNX file: its bytes, or its fields."""
    content = Path(bench.right("tiny.onnx")).read_bytes()
    name = bench.put(
        "net.onnx", _onnx(bench, content) if bench.pick(True, True, False) else alter.data(bench.rng, content)
    )
    more = [
        "--shape",
        f"image={bench.pick('1,3,6,6', '1,3,10000000,6', '0,3,6,6', 'a', '1,3', '1,3,6,-6', ','.join('1' * 99))}",
    ]
    return [bench.pick("run", "verify", "baseline"), name, *bench.pick([], [], [], more)]


def _onnx(bench: Bench, content: bytes) -> bytes:
    import onnx

    model, rng = onnx.ModelProto.FromString(content), bench.rng
    graph = model.graph
    for _ in range(bench.pick(1, 1, 2)):
        number = int(bench.pick(0, 1, -1, 2, 7, 10**9, 2**62, -(2**62)))
        node, tensor = rng.choice(graph.node), graph.initializer[0]
        match rng.randrange(14):
            case 0:
                node.op_type = bench.pick(
                    "Conv", "Gemm", "Relu", "Resize", "Det", "Loop", "If", "Tile", "Expand", "Pad", "", "x" * 999
                )
            case 1:
                name = bench.pick(
                    "kernel_shape", "strides", "pads", "dilations", "group", "axis", "auto_pad", "perm", "\x1b[31m"
                )
                node.attribute.append(
                    onnx.helper.make_attribute(name, bench.pick(number, [number] * 2, [1] * 4, "x", 1.5, [number] * 4))
                )
            case 2:
                node.name = bench.pick("", "\x1b[31mred", "a\nb", "é", "\u202e", "n" * 100_000, "\x9b")
            case 3:
                rng.choice([*graph.input, *graph.output]).type.tensor_type.shape.dim[
                    rng.randrange(4)
                ].dim_value = number
            case 4:
                tensor.dims[rng.randrange(len(tensor.dims))] = number
            case 5:
                tensor.data_type = rng.randrange(0, 30)
            case 6:
                tensor.raw_data = alter.data(rng, tensor.raw_data)
            case 7:
                node.input[rng.randrange(len(node.input))] = bench.pick("", "image", "middle", "result", "nowhere")
            case 8:
                node.output[0] = bench.pick("", "image", "middle", "result", "weight")
            case 9:
                model.opset_import[0].version = bench.pick(0, 1, 6, 7, 22, 99, 10**9)
            case 10:
                extra = bench.pick(
                    "ConstantOfShape", "RandomNormal", "Range", "NonZero", "Shape", "Cast", "Expand", "OneHot", "Tile"
                )
                shape = onnx.numpy_helper.from_array(np.array([number, 10**6], np.int64), "shape")
                graph.initializer.append(shape)
                graph.node.insert(
                    0, onnx.helper.make_node(extra, bench.pick(["shape"], ["shape"] * 2, ["weight", "shape"]), ["made"])
                )
                graph.node[-1].input[0] = "made"
            case 11:
                external = bench.pick("weight.bin", "../samples.npz", "/etc/passwd", "", "\x1b", "net.onnx")
                bench.put("weight.bin", bytes(16))
                tensor.data_location = onnx.TensorProto.EXTERNAL
                tensor.ClearField("raw_data")
                for key, value in (
                    ("location", external),
                    ("offset", bench.pick("0", "-1", "10000000")),
                    ("length", str(number)),
                ):
                    entry = tensor.external_data.add()
                    entry.key, entry.value = key, value
            case 12:
                graph.name = bench.pick("", "\x1b[0m", "g" * 9999)
                graph.node.append(node)
            case 13:
                rng.choice([*graph.input, *graph.output]).name = bench.pick("", "\x1b[31m", "weight", "x" * 9999)
    return bytes(model.SerializeToString())


@kind(4)
def tensor_file(bench: Bench) -> list[str]:
    """A .safetensors file: its bytes, its header."""
    content = Path(bench.right("decoder.safetensors")).read_bytes()
    if bench.pick(True, False):
        content = alter.data(bench.rng, content)
    else:
        size = struct.unpack("<Q", content[:8])[0]
        header = json.dumps(alter.tree(bench.rng, json.loads(content[8 : 8 + size]))).encode("utf-8", "replace")
        header = bench.pick(header, header, b"[" * 100_000, b'{"a":' * 10_000)
        content = struct.pack("<Q", bench.pick(len(header), len(header), 2**63, 10**9)) + header + content[8 + size :]
    return [
        "verify",
        bench.right("decoder.json"),
        "--schedule",
        "naive",
        "--weights",
        bench.put("w.safetensors", content),
    ]


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
    np.savez(out, **{"a": np.zeros(1)} if not arrays else arrays)
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
            archive.writestr(f"{name}.npy", changed.pop(name, part.getvalue()))
        for name, content in changed.items():
            archive.writestr(name, content)
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
        [], [], [], ["--compact"], ["--rows", "30"], ["--query", "row", "--row", "query"], ["--bag", "x", "--row", "y"]
    )
    if bench.pick(True, True, False):
        return ["trace", name, *more]
    return ["recommend", name, "--dimension", "8", "--design", "one", *[each for each in more if each != "--rows"][:1]]


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
                archive.writestr(each, held)
        name = bench.put("p.mho", out.getvalue())
    data = ["--data", bench.right("samples.npz")]
    return bench.pick(
        ["list", name], ["verify", name], ["verify", name, *data], ["accuracy", name, *data, "--seeds", "1"]
    )


@kind(4)
def results_file(bench: Bench) -> list[str]:
    """What an interrupted measurement left."""
    (bench.folder / "out").mkdir()
    lines = [
        "[" * 100_000,
        '{"key": 1}',
        '{"key": "a", "x": NaN}',
        "\x00",
        "{}",
        '{"key": "' + "k" * 10_000 + '"}',
        "9" * 5000,
        '{"key":',
    ]
    content = "\n".join(bench.rng.choices(lines, k=3))
    (bench.folder / "out" / "results.jsonl").write_text(content)
    return [*_requests(bench)["accuracy"], "--out", "out"]


@kind(12)
def output_place(bench: Bench) -> list[str]:
    """A place where no file can be, or must not be: devices, pipes, links, folders, what is read-only or missing."""
    folder = bench.folder
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("mine\n")
    (folder / "inner").mkdir()
    for name, target in (("link", "file"), ("dangling", "nowhere"), ("door", "inner"), ("loop", "loop")):
        (folder / name).symlink_to(target)
    here = os.getcwd()
    os.chdir(folder)  # The name of a socket has at most a hundred characters.
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.chdir(here)
    inside = folder / "held"
    inside.mkdir()
    for name in ("report.html", "results.jsonl", "accuracy.json", "trace.json", "layout.npz"):
        (inside / name).symlink_to("../file")
    names = (
        "pipe", "link", "dangling", "door", "loop", "socket", "inner", "held", "file/x", "pipe/x", "missing/x", "n" * 300, "a/" * 3000,
        "link/x", "loop/x", "\x1b[31m", "a\nb", "x.json/", ".", "..", "~", "é", "new", "inner/new", "door/new", "held/trace.json",
    )  # fmt: skip
    place = bench.pick(*names)
    requests, trace = _requests(bench), bench.right("trace.csv")
    match bench.pick("json", "csv", "save", "out", "out", "accuracy", "trace", "recommend", "init"):
        case "json":
            return [*requests[bench.pick("run", "show", "verify", "models", "trace", "list")], "--json", place]
        case "csv":
            return [*requests[bench.pick("run", "show", "devices")], "--csv", place]
        case "save":
            suffix = bench.pick("", ".mho")
            if suffix and place in ("pipe", "link", "dangling"):
                os.rename(folder / place, folder / (place + suffix))
            return [*requests["run"], "--save", place + suffix]
        case "out":
            return [*requests["run"], "--out", place]
        case "accuracy":
            return [*requests["accuracy"], "--out", place]
        case "trace":
            return ["trace", trace, "--save", bench.pick(place, place + ".npz")]
        case "recommend":
            return ["recommend", trace, "--dimension", "8", "--design", "one", "--out", place]
    return ["init", bench.pick("chip", "analog", "samples", "x"), place]


@kind(4)
def input_place(bench: Bench) -> list[str]:
    """A file to read that is a folder, a pipe, a link that leads nowhere, or a name of any kind."""
    os.mkfifo(bench.folder / "pipe")
    (bench.folder / "loop").symlink_to("loop")
    (bench.folder / "inner").mkdir()
    place = bench.pick(
        "pipe", "loop", "inner", ".", "/", "/dev/null", "/proc/self/mem", "missing", "n" * 300, "\x1b[31m", "pipe/x"
    )
    suffix = bench.pick("", "", ".onnx", ".yaml", ".npz", ".csv", ".mho", ".safetensors", ".json")
    if suffix and place in ("pipe", "loop", "inner"):
        os.rename(bench.folder / place, bench.folder / (place + suffix))
        place += suffix
    tiny, decoder = bench.right("tiny.onnx"), bench.right("decoder.json")
    return bench.pick(
        [*RUN, place], ["verify", place], ["show", place], ["list", place], ["trace", place], ["recommend", place], ["devices", place],
        [*RUN, tiny, "--chip", place], ["verify", tiny, "--data", place], ["verify", decoder, "--weights", place],
        ["baseline", tiny, "--systolic", place], [*_requests(bench)["accuracy"], "--analog", place],
    )  # fmt: skip
