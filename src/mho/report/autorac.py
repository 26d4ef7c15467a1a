"""A joint search of recommender, bits and chip, as a person should see it: what it gains, designs measured, the front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mho.engineering import count, quantity, ratio
from mho.explore.autorac.outcome import SEARCHED, Autorac
from mho.report.sections import Axis, Chart, Dot, Figures, Listing, Notes, Scatter, Section, Table, View
from mho.report.sure import factor_said

SPAN = 8.0
"""From this ratio of the largest to the least on, an axis is logarithmic."""


def view(found: Autorac) -> View:
    """Return the view of a joint search."""
    content = found.content
    sections: list[Section] = [
        Figures(rows=list(_cards(found)), cards=True),
        *_gains(content),
        _front(content, "page"),
        *_designs(content),
        *_sides(content),
        *_made(content),
        Table(title="Size of the space", heads=("counted", "designs", "formula"), prose=True, where="page", lines=[
            (name, f"10^{each['exponent']:.2f}", each["formula"]) for name, each in content["space"]["counts"].items()
        ]),
        Notes(notes=content["notes"]),
    ]  # fmt: skip
    return View(found.headline(), sections, mark=f"mho {content['version']} · autorac")


def files(found: Autorac) -> dict[str, Chart]:
    """Return the drawing of the front as a file of its own."""
    return {"autorac.svg": _front(found.content, "both")}


def _cards(found: Autorac) -> Iterator[tuple[str, str, str]]:
    content, chosen = found.content, found.chosen
    yield (
        "Judged",
        count(content["judged"]),
        f"{content['refused']} of them cannot be; {len(content['front'])} on the front",
    )
    if chosen is not None:
        yield (
            "Chosen",
            f"design {chosen['name']}",
            f"test log loss {chosen['test']['log_loss']:.4f}, AUC {chosen['test']['auc']:.4f}",
        )
        yield (
            "Executed",
            f"log loss {chosen['executed']['log_loss']:.4f}",
            f"all {count(chosen['executed']['records'])} records of the test, from cells of its chip",
        )
        for what, key, unit in (("Time", "latency_s", "s"), ("Energy", "energy_j", "J"), ("Area", "area_m2", "m²")):
            yield (
                what,
                quantity(chosen[key], unit),
                "of the dense part of a query" if key != "area_m2" else "of the chip, sized to it",
            )


def _gains(content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield what the chosen design gains over each baseline."""
    if not content["factors"]:
        return
    lines = [
        (each["over"], each["kind"], ratio(each["latency"]), ratio(each["area"]), ratio(each["energy"]),
         factor_said(each["energy_sure"]), ratio(each["power"]), f"{each['log_loss']:+.4f}", str(each["seeds"]))
        for each in content["factors"]
    ]  # fmt: skip
    heads = ("over", "kind", "time", "area", "energy", "how sure", "energy × time", "test log loss", "seeds")
    remark = "Power efficiency is read as queries a joule (energy), or as that times speed (energy × time)."
    yield Table(title=f"What design {content['chosen']} gains", heads=heads, lines=lines, names=2, remark=remark)


def _designs(content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the designs that were trained and measured."""
    lines, tones = [], {}
    for place, each in enumerate(content["designs"]):
        lines.append(
            (
                each["name"],
                each["kind"],
                f"{each['valid']['log_loss']:.4f}",
                f"{each['test']['log_loss']:.4f}",
                f"{each['test']['auc']:.4f}",
                quantity(each["latency_s"], "s"),
                quantity(each["energy_j"], "J"),
                quantity(each["area_m2"], "m²"),
                f"{each['lost']:+.4f}",
                f"{each['noiseless']:.4f}",
                f"{each['noisy']:.4f}",
                "yes" if each["verified"].startswith("bit-exact") else "no",
            )
        )
        if each["name"] == content["chosen"]:
            tones[place] = "good"
    heads = (
        "design",
        "kind",
        "valid log loss",
        "test log loss",
        "test AUC",
        "time",
        "energy",
        "area",
        "devices lose",
        "some of test",
        "with devices",
        "exact",
    )
    remark = (
        "Trained alone at their bits, judged by their integers, measured from their programs. Devices lose: by how much the log "
        f"loss of the first records to choose by rises, executed with cells of {content['device']} and the chip's own converters; "
        "beside it the log loss of the first records of the test, in integers and so executed."
    )
    yield Table(title="Trained and measured", heads=heads, lines=lines, names=2, tones=tones, remark=remark)  # type: ignore[arg-type]


def _sides(content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the joint search beside searches of one side after the other."""
    sides = content["sides"]
    if sides is None:
        return
    lines = [(name, count(len(sides["fronts"][name])), f"{volume:.4g}") for name, volume in sides["volumes"].items()]
    gain = "" if sides["ratio"] is None else f"; the joint search's is {ratio(sides['ratio'])} the better other"
    remark = (
        f"Of the same budget{gain}. In nats times decades of time, energy and area, below NASRec's {sides['network']} at 8 bits on "
        "the chip as it is, and the log loss of a model that knows nothing of records; log losses as the searches had them."
    )
    yield Table(title="One side after the other", heads=("search", "front", "hypervolume"), lines=lines, remark=remark)


def _made(content: Mapping[str, Any]) -> Iterator[Section]:
    """Yield how each searched design is made again."""
    for each in content["designs"]:
        if each["kind"] == SEARCHED:
            folder = f"designs/{each['name']}"
            text = f"{each['command']}\n# its chip: {folder}/chip.yaml; its weights: {folder}/recommender.safetensors"
            yield Listing(title=f"Design {each['name']}", text=f"{text}\n{_model(each['model'])}", where="page")


def _model(record: Mapping[str, Any]) -> str:
    """Write a model operator by operator."""
    lines = []
    for what in ("dense", "sparse"):
        for place, each in enumerate(record[what], 1):
            said = ", ".join(f"{key} {value}" for key, value in each.items() if key != "kind")
            lines.append(f"{what}{place}: {each['kind']} ({said})")
    return "\n".join(
        [*lines, f"score: of dense {record['ends'][0]} and sparse {record['ends'][1]}, bits {record['bits']}"]
    )


def _front(content: Mapping[str, Any], where: Any) -> Scatter:
    """Return the front as it was judged: log loss over energy, coloured by time."""
    front = content["front"]
    across, up = [[each[key] for each in front] for key in ("energy_j", "log_loss")]
    shades = [each["latency_s"] for each in front]
    dots = [
        Dot(each["energy_j"], each["log_loss"], each["latency_s"],
            f"{each['number']}: {each['log_loss']:.4f}, {quantity(each['energy_j'], 'J')}, {quantity(each['latency_s'], 's')}")
        for each in front
    ]  # fmt: skip
    title = "The front, as it was judged in the search"
    if not front:
        return Scatter(
            title=title, dots=(), others=(), across=Axis("", 0, 1), up=Axis("", 0, 1), empty="no design can be made"
        )
    return Scatter(
        title=title, where=where, dots=dots, others=(), across=_axis("energy of a query", across, "J"),
        up=_axis("log loss, as scored", up, ""), shade=_axis("time", shades, "s"),
        about="Log loss is the score of the search; designs that none beats in log loss, time, energy and area; colour: time.",
    )  # fmt: skip


def _axis(name: str, values: Sequence[float], unit: str) -> Axis:
    low, high = float(np.min(values)), float(np.max(values))
    log = low > 0 and high >= SPAN * low
    margin = (high / low) ** 0.04 if log else 0.04 * ((high - low) or abs(high) or 1.0)
    ends = (low / margin, high * margin) if log else (low - margin, high + margin)
    return Axis(name, *ends, unit=unit, log=log)
