"""What results say of themselves: short texts, a table in a notebook, columns for pandas, CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.machine import systolic
from mho.machine.systolic import Systolic
from mho.network.samples import Samples
from mho.network.trace.synthetic import synthesise
from mho.shown import Shown, columns, csv_text
from mho.studies.rows import Row, Study, StudyPart
from tests.strategies import GREEDY


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """Return one of everything that a user holds, made from the smallest models."""
    network = mho.zoo.load("resnet20", weights="seeded", input_size=8)
    images = np.random.default_rng(0).standard_normal((2, 3, 8, 8))
    quantised = mho.number.quantise(network, images)
    program = mho.compile(quantised, "aras", GREEDY.with_(schedule="overlap"))
    samples = Samples((images,), np.array([1, 2]), "two made-up samples")
    trace = synthesise(300, 200, 4.0)
    recommendation = mho.explore.recommend(trace, batch=32)
    study = Study(
        "tiny", "0", "a paper", {}, {}, (), (StudyPart("a", "A", "s", "t"),), (Row("a/b", "q", "s", None, 1.0, 1.0),)
    )
    made = {
        "chip": program.chip,
        "network": network,
        "samples": samples,
        "quantised": quantised,
        "matrix": next(iter(quantised.matrices.values())),
        "mapping": program.mapping,
        "program": program,
        "report": mho.simulate(program),
        "run": systolic.run(network, Systolic.load("tpu-like"), "best"),
        "analog": mho.machine.Analog(),
        "device": mho.machine.Device.load("taox"),
        "evaluation": mho.explore.evaluate(program, samples, mho.machine.Analog(), seeds=1),
        "sweep": mho.explore.sweep(program, samples, over={"adc.bits": [5, 8]}, seeds=1),
        "trace": trace,
        "recommendation": recommendation,
        "service": next(iter(recommendation.services.values())),
        "layout": next(iter(recommendation.designs.values())).layout,
        "study": study,
    }
    report = made["report"]
    made |= {"timing": report.timing, "account": report.account, "wear": report.worn, "occupancy": report.occupancy}
    return made


def test_texts_are_a_few_lines(shown: dict[str, Any]) -> None:
    for name, value in shown.items():
        for text in (repr(value), str(value), f"{value}"):
            assert len(text) < 700, name
            assert len(text.splitlines()) <= 8, name


def test_a_report_says_what_is_most_asked_for(shown: dict[str, Any]) -> None:
    text = str(shown["report"])
    for part in ("resnet20", "aras", "latency", "energy", "area", "synthetic"):
        assert part in text


def test_a_notebook_shows_the_same_as_a_table(shown: dict[str, Any]) -> None:
    for value in shown.values():
        if isinstance(value, Shown):
            html = value._repr_html_()
            assert html.startswith("<div>") and html.endswith("</div>")
            assert html.count("<tr>") == len(value.facts())


def test_names_are_escaped_in_notebooks() -> None:
    class Odd(Shown):
        def headline(self) -> str:
            return "<script>"

        def facts(self) -> tuple[tuple[str, str], ...]:
            return (("<b>", "&"),)

    assert Odd()._repr_html_() == (
        "<div><b>&lt;script&gt;</b><table><tr><th>&lt;b&gt;</th><td>&amp;</td></tr></table></div>"
    )


def test_every_table_has_columns_of_one_length_and_plain_values(shown: dict[str, Any]) -> None:
    seen = 0
    for value in shown.values():
        if not isinstance(value, Shown):
            continue
        for name in value.frames():
            table = value.frame(name)
            assert table and len({len(column) for column in table.values()}) == 1, name
            assert next(iter(table.values())), name
            json.dumps(table)
            seen += 1
        if value.frames():
            assert value.frame() == value.frame(next(iter(value.frames())))
    assert seen > 15


def test_tables_add_up_to_the_totals(shown: dict[str, Any]) -> None:
    report, run = shown["report"], shown["run"]
    assert sum(report.frame("energy")["energy_j"]) == pytest.approx(report.energy_j, rel=1e-12)
    assert sum(report.frame("area")["area_m2"]) == pytest.approx(report.to_dict()["area_m2"]["total"], rel=1e-12)
    assert sum(run.frame("layers")["energy_j"]) == pytest.approx(run.energy_j, rel=1e-12)
    assert report.frame()["name"] == [layer["name"] for layer in report.layers()]
    assert shown["sweep"].frame()["adc.bits"] == [5, 8]
    assert len(shown["program"].frame()["kind"]) == len(shown["program"].instructions)


def test_a_table_that_there_is_not_is_refused(shown: dict[str, Any]) -> None:
    with pytest.raises(mho.errors.OptionError, match="no table 'layer'; did you mean layers"):
        shown["report"].frame("layer")
    with pytest.raises(mho.errors.OptionError, match="has no table"):
        shown["timing"].frame()


def test_records_become_columns() -> None:
    records = [{"a": 1, "b": {"c": 2}}, {"a": 3, "d": None}]
    assert columns(records) == {"a": [1, 3], "b.c": [2, None], "d": [None, None]}
    assert columns([]) == {}


texts = st.text(max_size=6)


@settings(max_examples=50)
@given(st.dictionaries(texts, st.lists(texts, min_size=2, max_size=2), min_size=2, max_size=3))
def test_csv_is_read_back_as_it_was(table: dict[str, list[str]]) -> None:
    # A carriage return alone ends a line for some readers; the reader here is told to keep lines as they are.
    lines = list(csv.reader(io.StringIO(csv_text(table), newline="")))
    assert lines == [list(table), *map(list, zip(*table.values(), strict=True))]


def test_csv_leaves_none_empty() -> None:
    assert csv_text({"a": [1.5, None], "b, c": ["x", 'say "y"']}) == 'a,"b, c"\n1.5,x\n,"say ""y"""\n'
