"""Time and memory of analog execution, beside a float32 forward pass of torch in the same process (docs/analog-speed.md).

One thread; times are CPU seconds, the least of several. The real resnet20 and CIFAR-10 images are used where they are found, since
time depends on how sparse activations are; else seeded weights and synthetic images, and the page says so.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cases import peak_bytes
from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.tables import table

if TYPE_CHECKING:
    from torch import nn

    from mho.machine import Executor
    from mho.network import Network
    from mho.network.samples import Samples

RESULTS = ROOT / "benchmarks" / "analog.json"
PAGE = ROOT / "docs" / "analog-speed.md"
SCHEMA = "mho.analog-speed/1"
BATCH = 64
REPEATS = 5
ARRAYS: dict[str, Any] = {"array.rows": 128, "array.columns": 128, "array.cell_bits": 2, "array.dac_bits": 1}
"""Arrays of 128 x 128 cells of 2 bits, driven bit by bit: those of preset aras, which says so itself."""
UNSLICED: dict[str, Any] = {
    "array.cell_bits": 8,
    "array.dac_bits": 8,
    "array.pulses_full_range": 255,
    "components.dac": "none",
}
CLIPPING = {"adc.bits": 6, "adc.range": "fixed", "adc.limit": 63.0}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], float | None]] = {
    "clips": ("6-bit ADC that clips", {}, CLIPPING, 17.0),
    "rounds": ("6-bit ADC at full range: rounds", {}, {"adc.bits": 6}, None),
    "cannot": ("9-bit ADC: cannot clip", {}, {"adc.bits": 9}, 2.0),
    "unsliced": (
        "programming noise alone, no slicing (8-bit cells and DACs, ideal ADC)",
        UNSLICED,
        {"adc.bits": "ideal", "device.programming.sigma": 0.05},
        3.0,
    ),
    "noisy": ("programming noise and a 6-bit ADC that clips", {}, {**CLIPPING, "device.programming.sigma": 0.05}, None),
    "reads": (
        "read noise and a 6-bit ADC that clips: new draws at every conversion",
        {},
        {**CLIPPING, "device.read.sigma": 0.02},
        None,
    ),
}  # fmt: skip
LAYERS = {
    "layer-8": ("1024 x 1024 layer, 8-bit ADC", {"adc.bits": 8}, 20.0),
    "layer-6": ("1024 x 1024 layer, 6-bit ADC that clips", CLIPPING, 20.0),
}
ELSEWHERE = {
    "clips": "MNSIM 83 to 98, CrossSim 756, NeuroSim's wrapper 1,200",
    "unsliced": "aihwkit 5.9, CrossSim 11",
    "layer-8": "MNSIM 83, CrossSim 235",
    "layer-6": "MNSIM 83, CrossSim 235",
}
"""Ratios of other tools, as given to us with the goals: measured on this kind of machine, not in this run."""


def float_resnet20() -> nn.Module:
    """Return resnet20 as torch would run it best in float32: batch normalisation folded into the convolutions."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, given: int, made: int, stride: int) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(given, made, 3, stride, 1), nn.Conv2d(made, made, 3, 1, 1)
            self.stride, self.more = stride, (made - given) // 2

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.second(torch.relu(self.first(x)))
            if self.stride == 2:
                x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
            return torch.relu(x + y)

    sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    body = [nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *(Block(*each) for each in sizes)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def resident_bytes() -> int:
    """Return the resident memory of this process now, in bytes; Linux alone tells."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def least_s(work: Callable[[], Any]) -> float:
    """Return CPU seconds of `work`, the least of REPEATS after one that does not count."""
    work()
    taken = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def reference_s(module: nn.Module, *shape: int) -> float:
    """Return CPU seconds of a float32 forward pass."""
    import torch

    torch.set_num_threads(1)
    x = torch.randn(*shape)
    with torch.inference_mode():
        return least_s(lambda: module(x))


def resnet20() -> tuple[Network, Samples, Samples, str]:
    """Return the network, samples to calibrate on and to run, and where they come from."""
    import mho
    from mho.network.samples import load_samples, synthetic

    folder = Path(os.environ.get("MHO_DATA", ROOT.parent / "shared" / "data")) / "cifar10"
    if (folder / "resnet20.onnx").is_file():
        network = mho.Network.from_onnx(folder / "resnet20.onnx")
        calibration = load_samples(folder / "train_calib.npz", network).first(200)
        return (
            network,
            calibration,
            load_samples(folder / "test_a.npz", network).first(BATCH),
            "real weights and images",
        )
    network = mho.zoo.load("resnet20", weights="seeded")
    return network, synthetic(network, 8), synthetic(network, BATCH), "synthetic: seeded weights, drawn images"


def executor(network: Network, calibration: Any, chip: dict[str, Any], analog: dict[str, Any]) -> Executor:
    """Compile a network, one copy of each layer, for a chip that holds all of it."""
    import mho

    device = mho.machine.Analog.from_dict({"schema": "mho.analog/1", "device": "generic"})
    values = {**ARRAYS, "tiles": 40, **chip}
    program = mho.compile(
        mho.number.quantise(network, calibration),
        mho.Chip.load("aras").override(values, source="the arrays of the benchmark"),
        "overlap",
    )
    return mho.machine.Executor(program, device.override(analog))


def network_case(name: str) -> dict[str, Any]:
    """Time one case of resnet20."""
    import mho

    what, chip, analog, goal = CASES[name]
    network, calibration, samples, origin = resnet20()
    made = executor(network, calibration.inputs, chip, analog)
    unit = reference_s(float_resnet20(), BATCH, 3, 32, 32)
    took = least_s(lambda: made.run(samples.inputs))
    after = reference_s(float_resnet20(), BATCH, 3, 32, 32)
    signals = mho.machine.Signals()
    made.run(samples.inputs, signals=signals)
    conversions = sum(layer.conversions for layer in signals.layers)
    clipped = sum(layer.clipped for layer in signals.layers)
    return {
        "what": f"resnet20, {what}",
        "origin": origin,
        "float_s": (unit + after) / 2,
        "took_s": took,
        "goal": goal,
        "conversions": conversions,
        "clipped": clipped,
    }


def layer_case(name: str) -> dict[str, Any]:
    """Time one layer of 1024 inputs and outputs: normal weights, half of the inputs 0."""
    import numpy as np
    import torch

    import mho

    what, analog, goal = LAYERS[name]
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(1024, 1024)).eval()
    network = mho.Network.from_torch(module, torch.zeros(1, 1024))
    x = np.maximum(np.random.default_rng(0).standard_normal((BATCH, 1024)), 0)
    made = executor(network, x, {}, analog)
    unit = reference_s(module, BATCH, 1024)
    took = least_s(lambda: made.run(x))
    after = reference_s(module, BATCH, 1024)
    signals = mho.machine.Signals()
    made.run(x, signals=signals)
    return {
        "what": what,
        "origin": "synthetic: drawn weights and inputs",
        "float_s": (unit + after) / 2,
        "took_s": took,
        "goal": goal,
        "conversions": signals.layers[0].conversions,
        "clipped": signals.layers[0].clipped,
    }


def memory_case(copies: str) -> dict[str, Any]:
    """Measure the memory that execution adds to a compiled program: large layers, noisy, with or without copies."""
    import numpy as np
    import torch

    import mho

    torch.manual_seed(0)
    layers: list[nn.Module] = [torch.nn.Linear(2048, 2048) for _ in range(6)]
    module = torch.nn.Sequential(*(each for layer in layers for each in (layer, torch.nn.ReLU()))).eval()
    network = mho.Network.from_torch(module, torch.zeros(16, 2048))
    x = np.maximum(np.random.default_rng(0).standard_normal((16, 2048)), 0)
    chip = mho.Chip.load("isaac").override({"tiles": 400}, source="room for several copies")
    schedule = "adaptive" if copies == "copies" else "overlap"
    program = mho.compile(mho.number.quantise(network, x), chip, mho.Strategy().with_(schedule=schedule))
    analog = mho.machine.Analog.from_dict({"schema": "mho.analog/1", "device": "generic"}).override(
        {**CLIPPING, "device.programming.sigma": 0.05}
    )
    # What is imported and compiled once is not counted.
    small = mho.Network.from_torch(torch.nn.Linear(64, 64).eval(), torch.zeros(1, 64))
    tiny = mho.compile(mho.number.quantise(small, np.ones((1, 64))), chip, "overlap")
    mho.machine.Executor(tiny, analog).run(np.ones((1, 64)))
    del module, layers, small, tiny
    gc.collect()
    before = resident_bytes()
    made = mho.machine.Executor(program, analog)
    made.run(x)
    arrays = chip.group.arrays * sum(
        last - first for each in program.instructions if hasattr(each, "copy") and not hasattr(each, "windows")
        for first, last in each.groups
    )  # fmt: skip
    return {"arrays": arrays, "float_bytes": 4 * network.weights, "more_bytes": peak_bytes() - before}


def measured(name: str) -> dict[str, Any]:
    """Run one case in a process of its own."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.analog", "--only", name]
    print(f"{name} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks.analog: case {name} failed:\n{done.stderr[-2000:]}")
    import json

    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rendered(results: dict[str, Any]) -> str:
    """Write the tables."""
    rows = []
    for name, each in results["speed"].items():
        ratio = each["took_s"] / each["float_s"]
        goal = each["goal"]
        rows.append(
            [
                each["what"],
                f"{1e3 * each['float_s']:.3g}",
                f"{1e3 * each['took_s']:.4g}",
                f"**{ratio:.1f}**",
                "" if goal is None else f"{goal:.0f} ({'met' if ratio <= goal else 'missed'})",
                f"{each['conversions'] / each['took_s'] / 1e9:.2f}",
                f"{each['clipped'] / each['conversions']:.2%}",
                ELSEWHERE.get(name, ""),
            ]
        )
    head = ["what", "float32 ms", "analog ms", "ratio", "goal", "conversions, 10⁹/s", "clipped", "other tools' ratios"]
    origins = sorted({f"{each['origin']}" for each in results["speed"].values()})
    text = f"{results['machine']} One thread, CPU time, batch {BATCH}; {'; '.join(origins)}.\n\n{table(head, rows)}"
    memory = [
        [
            "one copy of each layer" if name == "single" else "copies on all of the chip",
            f"{each['arrays']:,}",
            f"{each['float_bytes'] / 1e6:.0f}",
            f"{each['more_bytes'] / 1e6:.0f}",
            f"{each['more_bytes'] / each['float_bytes']:.2f}",
        ]
        for name, each in results["memory"].items()
    ]
    head = ["six layers of 2048 x 2048, noisy", "arrays written", "float32 weights MB", "execution adds MB", "ratio"]
    return f"{text}\n\n{table(head, memory)}"


def machine() -> str:
    """Name the machine in a sentence."""
    import platform

    import numpy
    import torch

    from mho.machine.analog.processor import multiplies_bytes

    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    products = "with" if multiplies_bytes() else "without"
    return f"{name} {products} AVX-512 VNNI, numpy {numpy.__version__}, torch {torch.__version__}."


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analog",
        description="Time analog execution beside a float32 forward pass, and measure its memory; writes docs/analog-speed.md "
        "and benchmarks/analog.json. About four minutes; leave the machine alone meanwhile.",
    )
    names = [*CASES, *LAYERS, "single", "copies"]
    parser.add_argument(
        "--only", metavar="NAME", choices=names, help=f"one case, shown and not written: {', '.join(names)}"
    )
    parser.add_argument("--render", action="store_true", help="write the tables again from benchmarks/analog.json")
    asked = parser.parse_args(arguments)
    if asked.only:
        import json

        run = network_case if asked.only in CASES else layer_case if asked.only in LAYERS else memory_case
        print(json.dumps(run(asked.only)))
        return 0
    if asked.render:
        results = read_json(RESULTS)
    else:
        results = {
            "schema": SCHEMA,
            "machine": machine(),
            "speed": {name: measured(name) for name in (*CASES, *LAYERS)},
            "memory": {name: measured(name) for name in ("single", "copies")},
        }
        write_json(RESULTS, results)
    write_measured(PAGE, rendered(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
