"""Makes the sample files that come with mho, `mho init samples`: seeded, small, and each either made here or licensed so.

    python examples/make_samples.py            trains, checks that the committed files hold the same, and prints
    python examples/make_samples.py --write    and writes src/mho/samples

digits.onnx is a small convolutional network, trained here on scikit-learn's digits (pip install mho[examples]): 1,797 real
images of 8 x 8 pixels. digits.npz holds digits that it never saw, calibration.npz some that it did; synthetic-clicks.csv is made
up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLES = Path(__file__).parent.parent / "src" / "mho" / "samples"
TRAINED_ON, CALIBRATED_ON = 1297, 128
EPOCHS, RATE, BATCH = 40, 3e-3, 32
SESSIONS, ITEMS, ITEMS_A_SESSION = 2500, 1200, 6.0

Arrays = dict[str, npt.NDArray[Any]]


def digits() -> tuple[Arrays, Arrays]:
    """Return digits to train on and digits held out: x uint8 (n, 1, 8, 8) from 0 to 16, and y."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x, y = images[order].reshape(-1, 1, 8, 8).astype(np.uint8), labels[order].astype(np.uint8)
    return {"x": x[:TRAINED_ON], "y": y[:TRAINED_ON]}, {"x": x[TRAINED_ON:], "y": y[TRAINED_ON:]}


def trained(data: Arrays) -> Any:
    """Train the network and return it: two convolutions and two linear layers, on pixels from 0 to 16 as they are."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    images, labels = torch.from_numpy(data["x"]).float(), torch.from_numpy(data["y"]).long()
    optimiser = torch.optim.Adam(model.parameters(), RATE, weight_decay=1e-4)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=generator)[: steps * BATCH].reshape(-1, BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images[chosen] / 16), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def as_onnx(model: Any) -> bytes:
    """Write the network as ONNX, the division by 16 within the first weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    held = {name: value.detach().numpy() for name, value in model.named_parameters()}
    held["0.weight"] = held["0.weight"] / 16
    nodes = [
        helper.make_node("Conv", ["x", "0.weight", "0.bias"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "2.weight", "2.bias"], ["c"], name="conv2", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["d"], name="relu2"),
        helper.make_node("Flatten", ["d"], ["e"], name="flatten"),
        helper.make_node("Gemm", ["e", "5.weight", "5.bias"], ["f"], name="hidden", transB=1),
        helper.make_node("Relu", ["f"], ["g"], name="relu3"),
        helper.make_node("Gemm", ["g", "7.weight", "7.bias"], ["scores"], name="scores", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="mho")
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def clicks() -> str:
    """Make up a click log whose sessions keep to communities of items, as CSV."""
    from mho.network.trace import Communities, synthesise

    trace = synthesise(
        SESSIONS, ITEMS, ITEMS_A_SESSION, popularity="zipf:0.8", communities=Communities(24, 0.8), distinct=True
    )
    lines = ["session,item"]
    for session in range(trace.bags):
        items = trace.indices[trace.offsets[session] : trace.offsets[session + 1]]
        lines += [f"{session},{item}" for item in items]
    return "\n".join(lines) + "\n"


def accuracy(model: Any, data: Arrays) -> float:
    """Return the share of digits that the network classifies rightly."""
    import torch

    with torch.no_grad():
        scores = model(torch.from_numpy(data["x"]).float() / 16).numpy()
    return float((scores.argmax(1) == data["y"]).mean())


def main() -> int:
    """Make the files; 0 where they are as committed, or written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write them into src/mho/samples")
    write = parser.parse_args().write
    seen, held_out = digits()
    model = trained(seen)
    print(f"digits.onnx: {100 * accuracy(model, held_out):.2f} % of {len(held_out['y'])} digits that it never saw")
    archives = {"digits.npz": held_out, "calibration.npz": {"x": seen["x"][:CALIBRATED_ON]}}
    files = {"digits.onnx": as_onnx(model), "synthetic-clicks.csv": clicks().encode()}
    if write:
        for name, content in files.items():
            (SAMPLES / name).write_bytes(content)
        for name, arrays in archives.items():
            np.savez_compressed(SAMPLES / name, **arrays)
        return 0
    differ = [name for name, content in files.items() if (SAMPLES / name).read_bytes() != content]
    for name, arrays in archives.items():
        with np.load(SAMPLES / name) as there:
            differ += [name for key, value in arrays.items() if not np.array_equal(there[key], value)]
    print(f"differ from src/mho/samples: {', '.join(differ)}" if differ else "all as in src/mho/samples")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
