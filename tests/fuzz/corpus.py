"""Small files that are right, one of each kind that mho reads, to be made wrong."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

import mho
from mho.chip.template import chip_template
from mho.machine.analog.template import analog_template
from mho.network.trace import read
from mho.network.zoo.configuration import read_configuration
from mho.network.zoo.decoder import tensors
from tests.command_line import DECODER, write_onnx, write_samples

PACKED_ZEROS = 3 * 10**9
"""Bytes that a bomb unpacks to."""


def write_corpus(folder: Path) -> None:
    """Write the files into a new folder."""
    folder.mkdir(parents=True)
    write_onnx(folder / "tiny.onnx")
    write_samples(folder / "samples.npz")
    (folder / "decoder.yaml").write_text(yaml.safe_dump(DECODER))
    (folder / "decoder.json").write_text(json.dumps(DECODER))
    random = np.random.default_rng(0)
    shapes = tensors(read_configuration(folder / "decoder.json"))
    save_file(
        {key: random.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()},
        folder / "decoder.safetensors",
    )
    (folder / "chip.yaml").write_text(chip_template("aras", "chip", "chip.yaml"))
    (folder / "analog.yaml").write_text(analog_template("analog", "analog.yaml"))
    package = Path(mho.__file__).parent
    for name, preset in (("device", "taox"), ("systolic", "tpu-like"), ("technology", "isaac-32nm")):
        (folder / f"{name}.yaml").write_text(next(package.rglob(f"{preset}.yaml")).read_text())
    queries = np.repeat(np.arange(60), 4)
    rows = random.integers(0, 30, len(queries))
    lines = [f"{query},{row}" for query, row in zip(queries, rows, strict=True)]
    (folder / "trace.csv").write_text("query,row\n" + "\n".join(lines) + "\n")
    read(folder / "trace.csv").save(folder / "trace.npz")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"query": queries, "row": rows}), folder / "trace.parquet")
    network = mho.Network.from_onnx(folder / "tiny.onnx")
    samples = np.load(folder / "samples.npz")["x"]
    mho.compile(mho.number.quantise(network, (samples,)), "aras").save(str(folder / "program.mho"))
    (folder / "bomb.npz").write_bytes(bomb("x.npy", PACKED_ZEROS))


def bomb(name: str, size: int) -> bytes:
    """Return a zip archive with one array of `size` bytes, all zero, in a thousandth of that."""
    count = size // (4 * 108)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 3, 6, 6), }}".ljust(117).encode() + b"\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    total = len(start) + count * 432
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = [packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)]
    block = packer.compress(bytes(2**22)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += [block] * (count * 432 // 2**22)
    packed.append(packer.compress(bytes(count * 432 % 2**22)) + packer.flush())
    data = b"".join(packed)
    # The check sum is wrong, which only who unpacks all of it can know.
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(data), total, len(name), 0)
    local = b"PK\x03\x04" + fields + name.encode()
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    return local + data + central + end
