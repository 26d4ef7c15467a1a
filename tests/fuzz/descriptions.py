"""Chips, technologies, analog sides, devices, systolic arrays and decoders in YAML and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.fuzz import alter
from tests.fuzz.bench import RUN, Bench, kind, requests


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
    return [*requests(bench)["accuracy"], "--analog", name]


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
