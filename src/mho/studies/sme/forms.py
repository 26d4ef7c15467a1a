"""Other quantisers, other cells, and networks beyond the chip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.chapter import Chapter
from mho.studies.sme.measure_forms import CELLS, FORMS, SQUEEZED
from mho.studies.sme.paper import PAPER

Found = Mapping[str, Mapping[str, Any]]


def forms(found: Found, counts: Found, bases: Found) -> Chapter:
    """List other quantisers."""
    chapter = PAPER.chapter("forms")
    for name, runs in found.items():
        base = bases[name]["8-bit"]
        for form, run in runs.items():
            share = run["arrays"] / counts[name]["dense"]
            chapter.add(f"arrays/{form}", name, f"arrays / dense 8 bits, {form}", "", share, network=name)
            lost = 100 * (base["right"] - run["right"]) / base["samples"]
            note = f"{run['right']} of {run['samples']} right, {base['right']} in 8 bits."
            chapter.add(f"lost/{form}", name, f"accuracy lost, {form}", "points", lost, note=note, network=name)
    names = list(found)
    chapter.table("Arrays / dense 8 bits", "network", names, {f"arrays/{form}": form for form in FORMS})
    chapter.table("Points lost", "network", names, {f"lost/{form}": form for form in FORMS})
    return chapter


def cells(found: Found) -> Chapter:
    """List arrays in other cells."""
    chapter = PAPER.chapter("cells")
    ways = {"lossless": "lossless", **{f"{s}/{x}": f"S = {s}, x = {x}" for s, x in SQUEEZED}}
    for name, by_bits in found.items():
        for bits in CELLS:
            run = by_bits[str(bits)]
            what = f"cells of {bits} bit{'s' if bits > 1 else ''}"
            chapter.add(f"dense/{bits}", name, f"arrays, dense, {what}", "arrays", float(run["dense"]), network=name)
            for way, label in ways.items():
                share = run[way] / run["dense"]
                key = way.replace("/", "x")
                chapter.add(f"{key}/{bits}", name, f"arrays / dense, {label}, {what}", "", share, network=name)
    names = list(found)
    chapter.table("Arrays, dense", "network", names, {f"dense/{bits}": f"{bits} bits" for bits in CELLS})
    for way, label in ways.items():
        key = way.replace("/", "x")
        chapter.table(f"Arrays / dense, {label}", "network", names, {f"{key}/{bits}": f"{bits} bits" for bits in CELLS})
    return chapter


def beyond(found: Found) -> Chapter:
    """List what networks take that exceed their chip."""
    chapter = PAPER.chapter("beyond")
    for name, runs in found.items():
        dense = runs["dense"]
        for run, label in (("dense", "dense"), ("few", "few planes")):
            made = runs[run]
            chapter.add(f"time/{run}", name, f"time of one inference, {label}", "s", made["latency_s"], network=name)
            chapter.add(f"pulses/{run}", name, f"write pulses, {label}", "pulses", made["pulses"], network=name)
            chapter.add(f"addressed/{run}", name, f"cells written, {label}", "cells", made["addressed"], network=name)
        chapter.add(
            "faster", name, "times as fast with few planes", "times",
            dense["latency_s"] / runs["few"]["latency_s"], network=name,
        )  # fmt: skip
        fewer = dense["pulses"] / runs["few"]["pulses"] if runs["few"]["pulses"] else None
        note = "" if fewer is not None else PAPER.says("fits")
        chapter.add("fewer", name, "times fewer write pulses with few planes", "times", fewer, note=note, network=name)
    columns = {
        "time/dense": "dense", "time/few": "few planes", "faster": "times as fast", "pulses/dense": "pulses, dense",
        "pulses/few": "pulses, few planes", "fewer": "times fewer",
    }  # fmt: skip
    chapter.table("Beyond the chip", "network", list(found), columns)
    return chapter
