"""A whole recommender as a page that needs nothing but itself, and as files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from mho.engineering import count, percent, quantity, ratio
from mho.files.writing import save_texts
from mho.machine.energy import KINDS
from mho.report.bars import Bar, draw
from mho.report.sheets import Page, Sheet, as_json
from mho.report.terminal import amber

if TYPE_CHECKING:
    from mho.report.whole import Whole

TIMES = {"mean": "mean of all", "p50": "median", "p99": "99th percentile", "most": "longest"}
RESULT, PAGE, DENSE = "recommender.json", "recommender.html", "dense"


def part_lines(whole: Whole) -> list[tuple[str, str, str, str]]:
    """Return for each part, and for both, its name, the time of a batch, the energy of a query, and what it is."""
    dense, energy, content = whole.dense, whole.energy_j(), whole.service.to_dict()
    shape, p99 = content["layout"], quantity(content["batch_s"]["p99"], "s")
    tiles = "1 tile" if shape["tiles"] == 1 else f"{shape['tiles']} tiles"
    return [
        (
            "tables",
            quantity(whole.tables_s, "s"),
            quantity(energy["tables"], "J"),
            f"{shape['instances']} groups of rows in {tiles}, {shape['method']}; p99 {p99}",
        ),
        (
            "dense part",
            quantity(dense.latency_s, "s"),
            quantity(energy["dense"], "J"),
            f"{dense.program.schedule}, {ratio(dense.bound_ratio)} its lower bound",
        ),
        (
            "both",
            quantity(whole.latency_s, "s"),
            quantity(sum(energy.values()), "J"),
            f"{count(whole.queries_per_s)} queries/s, one batch after another every {quantity(whole.interval_s, 's')}",
        ),
    ]


def conclusion(whole: Whole) -> str:
    """Say in sentences how fast it is, which part holds it up, where its energy goes, and whether it was found right."""
    energy, slower = whole.energy_j(), "tables" if whole.tables_s >= whole.dense.latency_s else "dense part"
    joules = sum(energy.values())
    said = (
        f"A batch of {whole.batch} queries has its scores after {quantity(whole.latency_s, 's')}; batch after batch, that is "
        f"{count(whole.queries_per_s)} queries a second, held up by the {slower}. A query takes {quantity(joules, 'J')}, "
        f"{percent(energy['dense'], joules)} of it in the dense part."
    )
    said += f" Executed: {whole.verified}." if whole.verified is not None else ""
    return f"{said} The trace was made up, not measured." if whole.service.synthetic else said


def whole_page(whole: Whole) -> str:
    """Return the page of a whole recommender."""
    service, dense, energy = whole.service, whole.dense, whole.energy_j()
    content, of_dense = service.to_dict(), dense.to_dict()
    queries = max(service.queries, 1)
    kinds = {
        "tables": {kind: sum(j for (_, each), j in service.energy.items() if each == kind) / queries for kind in KINDS},
        "dense part": {kind: of_dense["energy_j"]["by_kind"][kind] / whole.batch for kind in KINDS},
    }
    times = [
        Bar("tables", {"": whole.tables_s}),
        Bar("dense part", {"": dense.latency_s}, (of_dense["lower_bound_s"], "no legal schedule is faster")),
    ]
    components = sorted(
        [("tables", name, joules / queries) for name, joules in content["energy_j"]["by_component"].items()]
        + [("dense part", name, joules / whole.batch) for name, joules in of_dense["energy_j"]["by_component"].items()],
        key=lambda each: -each[2],
    )
    tables = [
        ("look-ups of a query", count(service.lookups / queries)),
        ("activations of a bag", count(service.activations / max(service.bags, 1))),
        ("look-ups of an activation", count(service.lookups / max(service.activations, 1))),
        *((f"time of a batch, {TIMES[name]}", quantity(value, "s")) for name, value in content["batch_s"].items()),
        ("area of the tables", quantity(whole.area_m2()["tables"], "m²")),
        ("area of the chip", quantity(whole.area_m2()["chip"], "m²")),
    ]
    return Page(
        f"{whole.recommender.name} on {service.chip.name}, tables and dense part",
        f"{count(service.queries)} queries, {count(service.lookups)} look-ups of {service.origin} · batches of {whole.batch} · "
        f"chip {service.chip.digest[:12]} · mho {of_dense['version']}",
        whole.recommender.origin,
        [
            Sheet("Parts", ("part", "time of a batch", "energy of a query", "what"), part_lines(whole), told=True,
                  remark="While the dense part computes one batch, the tables serve the next. The dense part has a page of its "
                  f"own, {DENSE}/report.html."),
            Sheet("Tables", (), tables, remark=f"A row has {service.seats.dimension} features of 8 bits."),
            Sheet("Energy of a query by component", ("component", "energy", "share"), [
                (f"{part}: {name}", quantity(joules, "J"), percent(joules, sum(energy.values())))
                for part, name, joules in components if joules
            ]),
        ],
        whole.notes(),
        said=conclusion(whole),
        amber=[f"dense part: {words}" for words in amber([dense])],
        before=[
            draw("Time of a batch", times, "s"),
            draw("Energy of a query", [Bar(part, pieces) for part, pieces in kinds.items()], "J"),
        ],
    ).render()  # fmt: skip


def save_whole(whole: Whole, folder: Path) -> tuple[Path, ...]:
    """Write recommender.json, recommender.html, and the dense part's report into `dense`: all or none.

    Returns the paths of the first two. OutputError names the path that cannot be written; no file of ours that is new is left.
    """
    texts = {RESULT: as_json(whole.to_dict()), PAGE: whole_page(whole)}
    fresh = [folder / name for name in texts if not (folder / name).exists()]
    written = save_texts(texts, folder)
    try:
        whole.dense.save(folder / DENSE)
    except BaseException:
        for path in fresh:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return written
