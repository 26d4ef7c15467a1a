"""ONNX files, and weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import onnx

from tests.fuzz import alter
from tests.fuzz.bench import Bench, kind


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
