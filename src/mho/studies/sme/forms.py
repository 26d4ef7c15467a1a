"""Other quantisers, other cells, and networks beyond the chip."""

from __future__ import annotations

from mho.studies.chapter import Chapter, Measured
from mho.studies.numbers import counted
from mho.studies.sme.measure_forms import CELLS, FORMS, SQUEEZED
from mho.studies.sme.paper import PAPER


def forms(measured: Measured, counts: Measured, bases: Measured) -> Chapter:
    """List other quantisers."""
    chapter = PAPER.chapter("forms")
    for name, runs in measured.items():
        base = bases[name]["8-bit"]
        for form, run in runs.items():
            share = run["arrays"] / counts[name]["dense"]
            chapter.add(f"arrays/{form}", name, f"arrays / dense 8 bits, {form}", "", share, network=name)
            lost = 100 * (base["right"] - run["right"]) / base["samples"]
            note = f"{run['right']} of {run['samples']} right, {base['right']} in 8 bits."
            chapter.add(f"lost/{form}", name, f"accuracy lost, {form}", "points", lost, note=note, network=name)
    titles = {"arrays": "Arrays / dense 8 bits", "lost": "Points lost"}
    chapter.tables(titles, "network", list(measured), {form: form for form in FORMS})
    return chapter


def cells(measured: Measured) -> Chapter:
    """List arrays in other cells."""
    chapter = PAPER.chapter("cells")
    ways = {"lossless": "lossless", **{f"{s}/{x}": f"S = {s}, x = {x}" for s, x in SQUEEZED}}
    for name, by_bits in measured.items():
        for bits in CELLS:
            run, what = by_bits[str(bits)], f"cells of {counted(bits, 'bit')}"
            chapter.add(f"dense/{bits}", name, f"arrays, dense, {what}", "arrays", float(run["dense"]), network=name)
            for way, label in ways.items():
                series, share = f"{way.replace('/', 'x')}/{bits}", run[way] / run["dense"]
                chapter.add(series, name, f"arrays / dense, {label}, {what}", "", share, network=name)
    shares = {way.replace("/", "x"): f"Arrays / dense, {label}" for way, label in ways.items()}
    columns = {str(bits): f"{bits} bits" for bits in CELLS}
    chapter.tables({"dense": "Arrays, dense", **shares}, "network", list(measured), columns)
    return chapter


def beyond(measured: Measured) -> Chapter:
    """List what networks take that exceed their chip."""
    chapter = PAPER.chapter("beyond")
    for name, runs in measured.items():
        for run, label in (("dense", "dense"), ("few", "few planes")):
            for series, quantity, unit, figure in (
                ("time", "time of one inference", "s", "latency_s"),
                ("pulses", "write pulses", "pulses", "pulses"),
                ("addressed", "cells written", "cells", "addressed"),
            ):
                chapter.add(f"{series}/{run}", name, f"{quantity}, {label}", unit, runs[run][figure], network=name)
        dense, few = runs["dense"], runs["few"]
        faster = dense["latency_s"] / few["latency_s"]
        chapter.add("faster", name, "times as fast with few planes", "times", faster, network=name)
        fewer, note = (dense["pulses"] / few["pulses"], "") if few["pulses"] else (None, PAPER.says("fits"))
        quantity = "times fewer write pulses with few planes"
        chapter.add("fewer", name, quantity, "times", fewer, note=note, network=name)
    columns = {
        "time/dense": "dense", "time/few": "few planes", "faster": "times as fast", "pulses/dense": "pulses, dense",
        "pulses/few": "pulses, few planes", "fewer": "times fewer",
    }  # fmt: skip
    chapter.table("Beyond the chip", "network", list(measured), columns)
    return chapter
