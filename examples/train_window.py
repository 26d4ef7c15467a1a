"""Fine-tuning onto few bit planes: handwritten digits with weights on coarse grids, mapped by their digits.

    python examples/train_window.py            rounds, fine-tunes, measures, and prints
    python examples/train_window.py --write    and writes docs/training.md's second table and examples/train_window.json

The digits and the network are those of train_digits.py. For each grid: weights rounded to the nearest, rounded for the least
error of outputs, and fine-tuned with a straight-through estimator; each network is then compiled by squeezed mapping and
executed cell by cell on held-out digits.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from examples.train_digits import PAGE, ROOT, digits, network, right, train

RESULTS = ROOT / "examples" / "train_window.json"
SCHEMA = "mho.training-window/1"
GRIDS = (
    ("uniform:4", 0),
    ("uniform:3", 0),
    ("uniform:2", 0),
    ("window:8:3", 5),
    ("window:8:1", 0),
    ("power-of-two:4", 0),
)
"""Grids, and top planes squeezed out."""
EPOCHS, RATE, BATCH = 15, 1e-3, 40
BEGIN, END = "<!-- windows: begin (written by a command; do not edit) -->", "<!-- windows: end -->"


def measure() -> dict[str, Any]:
    """Measure every grid; the same call gives the same record."""
    import torch

    import mho
    from mho import training

    torch.set_num_threads(1)
    seen, held_out = digits(1200)
    plain = network(128)
    train(plain, seen, 30, 3e-3, 50)
    images = seen[0].numpy()

    def executed(quantised: Any) -> tuple[float, int]:
        program = mho.compile(quantised, "sme", mho.Strategy().with_(schedule="naive", mapping="squeezed"))
        scores = mho.execute(program, held_out[0].numpy())[quantised.network.outputs[0]]
        return right(scores, held_out[1]), program.mapping.arrays

    def coded(module: Any) -> Any:
        imported = mho.Network.from_torch(module, seen[0][:1])
        return mho.number.quantise(imported, images, per_channel=True, symmetric=True)

    whole = coded(plain)
    found: dict[str, Any] = {"schema": SCHEMA, "base": dict(zip(("accuracy", "arrays"), executed(whole), strict=True))}
    rows = []
    for name, top in GRIDS:
        grid = mho.number.Grid.parse(name)
        nearest, _ = executed(mho.number.recode(whole, grid, squeeze=top))
        output, _ = executed(mho.number.recode(whole, grid, method="output", samples=images, squeeze=top))
        model = training.constrain(plain, grid, squeeze=top)
        train(model, seen, EPOCHS, RATE, BATCH)
        kept = training.keep_codes(model, coded(training.release(model)))
        tuned, arrays = executed(kept)
        rows.append(
            {"grid": name, "squeeze": top, "nearest": nearest, "output": output, "tuned": tuned, "arrays": arrays}
        )
    return {**found, "rows": rows, "held_out": len(held_out[1])}


def table(record: dict[str, Any]) -> str:
    """Render the record."""
    lines = [
        f"{record['held_out']} held-out digits; arrays of 128 x 128 cells of one bit. In 8 bits: "
        f"{100 * record['base']['accuracy']:.1f} % in {record['base']['arrays']} arrays.",
        "",
        "| grid, planes squeezed out | nearest, % | rounded for outputs, % | fine-tuned, % | arrays |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in record["rows"]:
        name = f"`{row['grid']}`" + (f", {row['squeeze']}" if row["squeeze"] else "")
        figures = " | ".join(f"{100 * row[key]:.1f}" for key in ("nearest", "output", "tuned"))
        lines.append(f"| {name} | {figures} | {row['arrays']} |")
    return "\n".join(lines)


def page(text: str, record: dict[str, Any]) -> str:
    """Return docs/training.md with the record's table."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table(record)}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Measure and print; write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/training.md's table and train_window.json")
    asked = parser.parse_args()
    record = measure()
    print(table(record))
    if asked.write:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main()
