"""Fine-tuning for a lossy chip: handwritten digits on ARAS with 5-bit ADCs and cells that are programmed 10 % off.

    python examples/train_digits.py            trains, measures on the chip over several seeds, and prints
    python examples/train_digits.py --write    and writes docs/training.md's table and examples/train_digits.json

The digits are scikit-learn's (pip install mho[examples]): 1,797 real ones of 8 x 8 pixels (Alpaydin and Kaynak, UCI Machine
Learning Repository, 1998). A network is trained in float, brought to the chip, and fine-tuned with ADC and noise in the loop;
both are then compiled and executed cell by cell, on held-out digits, on chips that training never saw.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "examples" / "train_digits.json"
PAGE = ROOT / "docs" / "training.md"
SCHEMA = "mho.training/1"


@dataclass(frozen=True)
class Case:
    """What is measured. `seeds` chips are programmed for each figure; `epochs` passes over the digits fine-tune."""

    chip: str = "aras"
    adc_bits: int = 5
    variation: float = 0.1
    hidden: int = 128
    train: int = 1200
    float_epochs: int = 30
    epochs: int = 15
    rate: float = 4e-3
    batch: int = 40
    deviations: float = 1.5
    limit: float = 62.0
    limit_epochs: int = 8
    seeds: int = 10


def digits(train: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return images (n, 64) from 0 to 1 and labels, to train on and held out."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x, y = torch.from_numpy(images[order] / 16).float(), torch.from_numpy(labels[order])
    return (x[:train], y[:train]), (x[train:], y[train:])


def network(hidden: int) -> Any:
    """Return three linear layers with rectifiers between them."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    )  # fmt: skip


def train(
    model: Any, data: tuple[Any, Any], epochs: int, rate: float, batch: int, after: Callable[[], None] | None = None
) -> None:
    """Train with Adam and a rate that falls as a cosine; `after` is called after each step."""
    import torch

    images, labels = data
    generator = torch.Generator().manual_seed(0)
    steps = len(images) // batch
    optimiser = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(epochs * steps, 1))
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=generator)[: steps * batch].reshape(-1, batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
            if after is not None:
                after()
    model.eval()


def right(scores: Any, labels: Any) -> float:
    """Return the share of samples whose largest score is that of their label."""
    return float((scores.argmax(1) == labels.numpy()).mean())


def on_chip(quantised: Any, chip: Any, analog: Any, data: tuple[Any, Any], seeds: range) -> list[float]:
    """Return the accuracy of a quantised network on chips that were programmed from each of the seeds."""
    import mho

    program = mho.compile(quantised, chip, "naive")
    output = quantised.network.outputs[0]
    found = []
    for seed in seeds:
        made = mho.execute(program, data[0].numpy(), analog=analog.override({"seed": seed}))
        found.append(right(made[output], data[1]))
    return found


def measure(case: Case) -> dict[str, Any]:
    """Train in float, fine-tune for the chip, and measure both on it; the same case gives the same record."""
    import torch

    import mho
    from mho import training
    from mho.machine.analog.devices import Device
    from mho.machine.analog.spec import Adc, Analog

    torch.set_num_threads(1)
    chip = mho.Chip.load(case.chip)
    device = Device.load("generic").override({"programming.sigma": case.variation})
    analog = Analog(adc=Adc(bits=case.adc_bits), device=device)
    seen, held_out = digits(case.train)
    chips = range(1000, 1000 + case.seeds)

    plain = network(case.hidden)
    train(plain, seen, case.float_epochs, 3e-3, 50)
    with torch.no_grad():
        in_float = right(plain(held_out[0]).numpy(), held_out[1])
    imported = mho.Network.from_torch(plain, seen[0][:1])
    quantised = mho.number.quantise(imported, seen[0].numpy())
    in_integers = right(mho.number.run_reference(quantised, held_out[0].numpy())[imported.outputs[0]], held_out[1])
    before = on_chip(quantised, chip, analog, held_out, chips)

    def tuned(side: Analog, epochs: int, gradient: str, deviations: float | None) -> tuple[list[float], Any]:
        model = training.prepare(plain, chip, side, seen[0], gradient=gradient)
        limit = None if deviations is None else lambda: training.clip_weights(model, deviations)
        train(model, seen, epochs, case.rate, case.batch, limit)
        return on_chip(training.quantise(model, seen[0]), chip, side, held_out, chips), model

    after, model = tuned(analog, case.epochs, "unclipped", case.deviations)
    outliers, _ = tuned(analog, case.epochs, "unclipped", None)
    # The gradients differ only where sums clip: an ADC of fixed range.
    narrow = Analog(adc=Adc(bits=case.adc_bits, range="fixed", limit=case.limit), device=device)
    clipped = {"before": on_chip(quantised, chip, narrow, held_out, chips)}
    for gradient in ("unclipped", "plain"):
        clipped[gradient], _ = tuned(narrow, case.limit_epochs, gradient, case.deviations)
    with torch.no_grad():
        back_in_float = right(training.finish(model).eval()(held_out[0]).numpy(), held_out[1])
    lost, gained = in_float - statistics.mean(before), statistics.mean(after) - statistics.mean(before)
    return {
        "schema": SCHEMA,
        "case": asdict(case),
        "samples": {"train": len(seen[0]), "held_out": len(held_out[0])},
        "accuracy": {
            "float": in_float,
            "integers": in_integers,
            "before": before,
            "with_outliers": outliers,
            "after": after,
            "after_in_float": back_in_float,
        },
        "fixed_range": clipped,
        "gained_back": gained / lost if lost > 0 else None,
    }


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    case, found = results["case"], results["accuracy"]

    def row(what: str, value: float | list[float]) -> str:
        values = value if isinstance(value, list) else [value]
        spread = f"{100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
        least = f"{100 * min(values):.1f}" if len(values) > 1 else ""
        return f"| {what} | {100 * statistics.mean(values):.1f} | {spread} | {least} |"

    lines = [
        f"Chip `{case['chip']}`, {case['adc_bits']}-bit ADC of full range, variation "
        f"{100 * case['variation']:g} % of the conductance range; "
        f"{results['samples']['train']} digits to train on, {results['samples']['held_out']} held out; "
        f"{case['seeds']} chips programmed from seeds that training did not see.",
        "",
        "| held-out accuracy, % | mean | spread over chips | worst chip |",
        "|---|---:|---:|---:|",
        row("float network", found["float"]),
        row("8-bit integers, no loss in the ADC", found["integers"]),
        row("on the chip, not trained for it", found["before"]),
        row(f"on the chip, fine-tuned {case['epochs']} epochs without clipping weights", found["with_outliers"]),
        row(
            f"on the chip, fine-tuned {case['epochs']} epochs, weights clipped to {case['deviations']:g} deviations",
            found["after"],
        ),
        row("the fine-tuned network in float", found["after_in_float"]),
        row(f"ADC of fixed range {case['limit']:g}, not trained for it", results["fixed_range"]["before"]),
        row(f"the same, fine-tuned {case['limit_epochs']} epochs", results["fixed_range"]["unclipped"]),
        row("the same with gradient `plain`", results["fixed_range"]["plain"]),
        "",
        "The chip of full range had lost nothing."
        if results["gained_back"] is None
        else f"Fine-tuning gains back {100 * results['gained_back']:.0f} % of the accuracy that the chip of full range had lost.",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(
        prog="python examples/train_digits.py", description="Fine-tune a network for a lossy chip on real digits."
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/training.md's table and the JSON beside this file"
    )
    parser.add_argument("--render", action="store_true", help="write the table again from the JSON, without measuring")
    asked = parser.parse_args(arguments)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))  # run as a file, the repository is not on the path
    from benchmarks.files import read_json, write_json, write_measured

    results = read_json(RESULTS) if asked.render else measure(Case())
    if asked.write:
        write_json(RESULTS, results)
    if asked.write or asked.render:
        write_measured(PAGE, table(results))
    sys.stdout.write(f"{table(results)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
