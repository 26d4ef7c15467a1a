"""A run on a systolic array, as a person should see it: time, energy, what stays in the array, layers."""

from __future__ import annotations

from mho.engineering import count, percent, quantity
from mho.machine.systolic.account import PRODUCTS
from mho.machine.systolic.result import KINDS, Run
from mho.network.layers import MatrixProduct
from mho.report.sections import Bar, Bars, Figures, Notes, Table, View
from mho.report.sure import sure

STATIONARY = {"weight": "weights stay", "input": "inputs stay", "output": "outputs stay"}
"""What stays in the array, in words."""
COSTLIEST = 10
"""Layers shown in a terminal."""


def _waiting(run: Run) -> float:
    """Return the time in s of layers that main memory holds up."""
    return sum(record.seconds for record in run.records if record.memory_s > record.work_s)


def _figures(run: Run) -> Figures:
    memory = f"{quantity(run.memory_bytes, 'B')} from and to main memory"
    return Figures(
        title="Time and energy",
        rows=[
            ("time", quantity(run.latency_s, "s"), f"{count(run.throughput_per_s)} samples/s"),
            ("without overlap", quantity(run.latency_without_overlap_s, "s"), "if buffers were single, not double"),
            ("waiting for memory", percent(_waiting(run), run.latency_s), f"layers that memory bounds; {memory}"),
            (
                "array in use",
                percent(run.utilisation, 1.0),
                f"of {count(run.systolic.units)} multiply-accumulate units",
            ),
            ("energy", quantity(run.energy_j, "J"), "per inference"),
            *sure("energy_j", "J", run.uncertainty),
            ("area", quantity(sum(run.systolic.area_m2.values()), "m²"), "array, buffers and vector unit"),
            *sure("area_m2", "m²", run.uncertainty),
        ],
    )


def _dataflows(run: Run) -> Table:
    """Lay out each dataflow that was tried, with attention's products taking no time and on the array."""
    has_products = any(record.kind == MatrixProduct.kind for record in run.records)
    lines: list[tuple[str, ...]] = []
    chosen = 0
    for dataflow, totals in run.totals.items():
        for products in PRODUCTS if has_products else PRODUCTS[:1]:
            if dataflow == run.dataflow and (not has_products or products == run.systolic.spec.products):
                chosen = len(lines)
            words = {"ideal": "take no time", "array": "on the array"}[products] if has_products else "none"
            total = totals[products]
            rate = count(run.network.batch / total.latency_s)
            lines.append((dataflow, quantity(total.latency_s, "s"), rate, quantity(total.energy_j, "J"), words))
    heads = ("stationary", "time", "samples/s", "energy", "products of two activations")
    return Table(title="What stays in the array", heads=heads, lines=lines, tones={chosen: "strong"})


def _layers(run: Run, most: int | None) -> Table:
    """Lay out the layers in their order, or the slowest ones for a terminal."""
    records = run.records if most is None else sorted(run.records, key=lambda record: -record.seconds)[:most]
    lines = [
        (
            record.name, record.kind, quantity(record.seconds, "s"), quantity(record.work_s, "s"),
            quantity(record.memory_s, "s"),
            percent(record.macs, run.systolic.units * record.cycles) if record.cycles else "–", quantity(record.energy_j, "J"),
        )
        for record in records
    ]  # fmt: skip
    heads = ("layer", "kind", "time", "array", "memory", "in use", "energy")
    title = "Layers" if most is None else f"Slowest layers   {len(lines)} of {len(run.records)}"
    return Table(title=title, heads=heads, lines=lines, names=2, cut=True, where="page" if most is None else "terminal")


def view(run: Run) -> View:
    """Return the view of a run."""
    network, systolic = run.network, run.systolic
    about = (
        f"{count(len(network.matrix_layers))} matrix layers, {count(network.weights)} weights, {count(network.macs)} MACs, "
        f"batch {network.batch}; weights: {network.origin}; array {systolic.digest[:12]}"
    )
    said = (
        f"An inference takes {quantity(run.latency_s, 's')} and {quantity(run.energy_j, 'J')} where {STATIONARY[run.dataflow]} in "
        f"the array; layers that main memory holds up take {percent(_waiting(run), run.latency_s)} of the time, and "
        f"{percent(run.utilisation, 1.0)} of what the multiply-accumulate units could do is done."
    )
    flows = [Bar(STATIONARY[flow], {"": total[systolic.spec.products].latency_s}) for flow, total in run.totals.items()]
    components = sorted(run.energy_by_component().items(), key=lambda item: -item[1])
    kinds = run.energy_by_kind()
    brief = [f"{count(len(run.notes()))} assumptions on {systolic.name}: --json -, --out"]
    return View(
        f"{network.name} on {systolic.name}, {run.dataflow}-stationary",
        (
            _figures(run),
            Bars(title="Time of one inference, by what stays in the array", bars=flows, unit="s", where="page"),
            Bars(title=f"Energy   {quantity(run.energy_j, 'J')} per inference, by kind", unit="J",
                 bars=[Bar(kind, {kind: kinds[kind]}) for kind in KINDS]),
            Bars(title="Energy by component", bars=[Bar(name, {"": joules}) for name, joules in components], unit="J"),
            _dataflows(run),
            _layers(run, COSTLIEST),
            _layers(run, None),
            Notes(notes=run.notes(), brief=brief),
        ),
        [about],
        said=said,
    )  # fmt: skip
