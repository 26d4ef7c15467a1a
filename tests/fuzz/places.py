"""Places to write to and to read from."""

from __future__ import annotations

import os
import socket

from tests.fuzz.bench import RUN, Bench, kind, requests


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
    return [*requests(bench)["accuracy"], "--out", "out"]


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
        "pipe", "link", "dangling", "door", "loop", "socket", "inner", "held", "file/x", "pipe/x", "missing/x", "n" * 300,
        "a/" * 3000, "link/x", "loop/x", "\x1b[31m", "a\nb", "x.json/", ".", "..", "~", "é", "new", "inner/new",
        "door/new", "held/trace.json",
    )  # fmt: skip
    place = bench.pick(*names)
    right, trace = requests(bench), bench.right("trace.csv")
    match bench.pick("json", "csv", "save", "out", "out", "accuracy", "trace", "recommend", "init"):
        case "json":
            return [*right[bench.pick("run", "show", "verify", "models", "trace", "list")], "--json", place]
        case "csv":
            return [*right[bench.pick("run", "show", "devices")], "--csv", place]
        case "save":
            suffix = bench.pick("", ".mho")
            if suffix and place in ("pipe", "link", "dangling"):
                os.rename(folder / place, folder / (place + suffix))
            return [*right["run"], "--save", place + suffix]
        case "out":
            return [*right["run"], "--out", place]
        case "accuracy":
            return [*right["accuracy"], "--out", place]
        case "trace":
            return ["trace", trace, "--save", bench.pick(place, place + ".npz")]
        case "recommend":
            return ["recommend", trace, "--dimension", "8", "--design", "naive", "--out", place]
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
        [*RUN, place], ["verify", place], ["show", place], ["list", place], ["trace", place], ["recommend", place],
        ["devices", place], [*RUN, tiny, "--chip", place], ["verify", tiny, "--data", place],
        ["verify", decoder, "--weights", place], ["baseline", tiny, "--systolic", place],
        [*requests(bench)["accuracy"], "--analog", place],
    )  # fmt: skip
