"""A whole recommender, as a person should see it: its parts and their sum, its tables, energy by component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mho.engineering import count, percent, quantity
from mho.report import arrivals, views
from mho.report.run import converters
from mho.report.sections import Bar, Bars, Figures, Notes, Sentence, Table, View, synthetic
from mho.report.sure import sure

if TYPE_CHECKING:
    from mho.machine.recommender.whole import Whole

TIMES = {"mean": "mean of all", "p50": "median", "p99": "99th percentile", "most": "longest"}
PROGRAM = "program"
"""The folder of the program's own files."""


def part_lines(whole: Whole) -> list[tuple[str, str, str, str]]:
    """Return for each part, and for both, its name, the time of a batch, the energy of a query, and what it is."""
    report, energy, content = whole.report, whole.energy_j(), whole.service.to_dict()
    setup = report.field("setup")
    shape, p99 = content["layout"], quantity(content["batch_s"]["p99"], "s")
    tiles = "1 tile" if shape["tiles"] == 1 else f"{shape['tiles']} tiles"
    how_sure = [(name, "", ends, said) for name, ends, said in sure("energy_j", "J", whole.uncertainty)]
    return [
        (
            "tables",
            quantity(whole.tables_s, "s"),
            quantity(energy["tables"], "J"),
            f"{shape['instances']} groups of rows in {tiles}, {shape['method']}; p99 {p99}",
        ),
        (
            "dense part",
            quantity(whole.dense_s, "s"),
            quantity(energy["dense"], "J"),
            f"schedule {report.program.schedule}",
        ),
        ("leakage", "", quantity(energy["static"], "J"), "of the whole chip, from one batch to the next"),
        (
            "together",
            quantity(whole.latency_s, "s"),
            quantity(sum(energy.values()), "J"),
            f"{count(whole.queries_per_s)} queries/s, one batch after another every {quantity(whole.interval_s, 's')}",
        ),
        *how_sure,
        (
            "set-up, once",
            quantity(setup["latency_s"], "s"),
            "",
            f"{quantity(setup['energy_j'], 'J')} in all: tables and weights written, {count(setup['pulses'])} pulses",
        ),
    ]


def conclusion(whole: Whole) -> str:
    """Say in sentences how fast it is, which part holds it up, where its energy goes, and whether it was found right."""
    energy, slower = whole.energy_j(), "tables" if whole.tables_s >= whole.dense_s else "dense part"
    joules = sum(energy.values())
    said = (
        f"A batch of {whole.batch} queries has its scores after {quantity(whole.latency_s, 's')}; batch after batch, that is "
        f"{count(whole.queries_per_s)} queries a second, held up by the {slower}. A query takes {quantity(joules, 'J')}, "
        f"{percent(energy['dense'], joules)} of it in the dense part."
    )
    said += f" Executed: {whole.verified}." if whole.verified is not None else ""
    said += f" {arrivals.said(whole.waiting.to_dict())}" if whole.waiting is not None else ""
    return f"{said} The trace was made up, not measured." if whole.service.synthetic else said


def _tables(whole: Whole) -> Figures:
    service = whole.service
    times = service.to_dict()["batch_s"]
    rows = [
        ("look-ups of a query", count(service.lookups / max(service.queries, 1)), ""),
        ("activations of a bag", count(service.activations / max(service.bags, 1)), ""),
        ("look-ups of an activation", count(service.lookups / max(service.activations, 1)), ""),
        *((f"time of a batch, {TIMES[name]}", quantity(seconds, "s"), "") for name, seconds in times.items()),
        ("area of the tables", quantity(whole.area_m2()["tables"], "m²"), ""),
        ("area of the chip", quantity(whole.area_m2()["chip"], "m²"), ""),
        *sure("area_m2", "m²", whole.uncertainty),
    ]
    return Figures(
        title="Tables", rows=rows, remark=f"A row has {service.seats.dimension} features of 8 bits.", where="page"
    )


def _energies(whole: Whole) -> list[Bars]:
    """Draw the energy of a query by part, and by component."""
    energy, by_kind = whole.energy_j(), whole.report.account
    slower = whole.interval_s / whole.latency_s
    joules: dict[str, float] = {}
    for entry in by_kind.entries:
        share = slower if entry.kind == "static" else 1.0
        joules[entry.component] = joules.get(entry.component, 0.0) + entry.joules * share / whole.batch
    components = sorted(joules.items(), key=lambda each: -each[1])
    total = sum(joules.values())
    bars = [Bar(name, {"": each}, beside=percent(each, total)) for name, each in components if each]
    parts = {"tables": energy["tables"], "dense part": energy["dense"], "leakage": energy["static"]}
    return [
        Bars(
            title="Energy of a query",
            bars=[Bar(part, {"": each}) for part, each in parts.items()],
            unit="J",
            where="page",
        ),
        Bars(title="Energy of a query by component", bars=bars, unit="J", where="page"),
    ]


def view(whole: Whole) -> View:
    """Return the view of a whole recommender."""
    service, report = whole.service, whole.report
    times = [Bar("tables", {"": whole.tables_s}), Bar("dense part", {"": whole.dense_s})]
    verified = [] if whole.verified is None else [Sentence(whole.verified, "good" if whole.right else "bad")]
    parts = Table(
        title="Parts", heads=("part", "time of a batch", "energy of a query", "what"), lines=part_lines(whole), prose=True,
        tones={2: "strong"}, remark="While the dense part computes one batch, the tables serve the next. Their one program "
        f"has a page of its own, {PROGRAM}/report.html.",
    )  # fmt: skip
    return View(
        f"{whole.recommender.name} on {service.chip.name}, tables and dense part",
        (
            Bars(title="Time of a batch", bars=times, unit="s", where="page"),
            *_energies(whole),
            parts,
            _tables(whole),
            *(() if whole.waiting is None else arrivals.sections(whole.waiting.to_dict())),
            Notes(notes=whole.notes()),
        ),
        (
            f"{count(service.queries)} queries, {count(service.lookups)} look-ups of {service.origin}",
            f"batches of {whole.batch}; chip {service.chip.digest[:12]}",
            f"weights: {whole.recommender.origin}",
        ),
        (
            *verified,
            *synthetic(whole.recommender.origin),
            *(
                Sentence(f"dense part: {sentence.words}", sentence.tone)
                for sentence in converters(report.field("converters"))
            ),
        ),
        said=conclusion(whole),
    )


def files(whole: Whole) -> dict[str, str | bytes]:
    """Return what is kept beside data and page: the program's own files."""
    return {f"{PROGRAM}/{name}": content for name, content in views.files(whole.report).items()}
