"""A run on a systolic array as a page that needs nothing but itself, and its files."""

from __future__ import annotations

from pathlib import Path

from mho.engineering import count, percent, quantity
from mho.files.writing import save_texts
from mho.machine.systolic.account import PRODUCTS
from mho.machine.systolic.result import KINDS, Run
from mho.network.layers import MatrixProduct
from mho.report.bars import Bar, draw
from mho.report.sheets import Page, Sheet, as_json

STATIONARY = {"weight": "weights stay", "input": "inputs stay", "output": "outputs stay"}
"""What stays in the array, in words."""


def run_page(run: Run) -> str:
    """Return the page of a run."""
    network, systolic = run.network, run.systolic
    about = (
        f"{count(len(network.matrix_layers))} matrix layers · {count(network.weights)} weights · {count(network.macs)} MACs · "
        f"batch {network.batch} · weights: {network.origin} · array {systolic.digest[:12]}"
    )
    waiting = sum(record.seconds for record in run.records if record.memory_s > record.work_s)
    said = (
        f"An inference takes {quantity(run.latency_s, 's')} and {quantity(run.energy_j, 'J')} where {STATIONARY[run.dataflow]} in "
        f"the array; layers that main memory holds up take {percent(waiting, run.latency_s)} of the time, and "
        f"{percent(run.utilisation, 1.0)} of what the multiply-accumulate units could do is done."
    )
    ordered = sorted(run.energy_by_component().items(), key=lambda item: -item[1])
    flows = [Bar(STATIONARY[flow], {"": total[systolic.spec.products].latency_s}) for flow, total in run.totals.items()]
    layers = [
        (
            record.name, record.kind, quantity(record.seconds, "s"), quantity(record.work_s, "s"),
            quantity(record.memory_s, "s"),
            percent(record.macs, systolic.units * record.cycles) if record.cycles else "–", quantity(record.energy_j, "J"),
        )
        for record in run.records
    ]  # fmt: skip
    return Page(
        f"{network.name} on {systolic.name}, a systolic array of {systolic.spec.rows} x {systolic.spec.columns}",
        about,
        "",
        [
            _dataflows(run),
            Sheet("Energy by component", ("component", "energy", "share"), [
                (name, quantity(joules, "J"), percent(joules, run.energy_j)) for name, joules in ordered
            ]),
            Sheet("Layers", ("layer", "kind", "time", "array", "main memory", "array in use", "energy"), layers),
        ],
        run.notes(),
        said=said,
        before=[
            draw("Time of one inference, by what stays in the array", flows, "s"),
            draw("Energy of one inference", [Bar(STATIONARY[run.dataflow], {k: run.energy_by_kind()[k] for k in KINDS})], "J"),
        ],
    ).render()  # fmt: skip


def _dataflows(run: Run) -> Sheet:
    """Lay out each dataflow that was tried, with attention's products taking no time and on the array."""
    has_products = any(record.kind == MatrixProduct.kind for record in run.records)
    lines = []
    for dataflow, totals in run.totals.items():
        for products in PRODUCTS if has_products else PRODUCTS[:1]:
            told = {"ideal": "take no time", "array": "on the array"}[products] if has_products else "none"
            total = totals[products]
            rate = count(run.network.batch / total.latency_s)
            lines.append(
                (STATIONARY[dataflow], quantity(total.latency_s, "s"), rate, quantity(total.energy_j, "J"), told)
            )
    heads = ("in the array", "time", "samples/s", "energy", "products of two activations")
    return Sheet("What stays in the array", heads, lines)


def save_run(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write baseline.json and baseline.html into a folder, all or none; OutputError names the path."""
    return save_texts({"baseline.json": as_json(run.to_dict()), "baseline.html": run_page(run)}, folder)
