"""Many designs, as a person should see them: the best of each aim, the front and what it costs, and what no chip can be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from mho.engineering import percent, quantity
from mho.report import sections as see
from mho.report.designs import Designs, Figure, Record, chosen, limit_of, limit_said, page_data, thinned, written

if TYPE_CHECKING:
    from mho.explore.exploration import Exploration

SHOWN = 20
"""Designs of the front that a terminal shows."""
DRAWN = 1_500
"""Other designs on the drawing that is a file of its own."""
SPAN = 8.0
"""From this ratio of the largest to the least on, an axis is logarithmic."""


def _cards(designs: Designs) -> list[tuple[str, str, str]]:
    """Return what was found: the best of each aim, how many designs are on the front, and the hypervolume."""
    rows, base = [], designs.base
    for aim in designs.aims:
        best = designs.best(aim)
        if best is not None:
            said = f"design {best['number']}: {chosen(best['values'])}"
            said += f"; as it stands {aim.told(base)}" if base else ""
            rows.append((f"{aim.most} {aim.name}".capitalize(), aim.told(best), said))
    remark = f"of {designs.tried:,} tried"
    if designs.limits and designs.tried == len(designs.points):
        remark += f"; {len(designs.compiled) - len(designs.kept):,} break a limit"
    remark += f"; {designs.refused:,} cannot be compiled" if designs.refused else ""
    rows.append(("Front", _designs(len(designs.front)), remark))
    apart = [record["differs"] for record in designs.measured.values() if record.get("differs") is not None]
    if apart:
        far = percent(max(apart), 1.0)
        rows.append(("Measured", _designs(len(apart)), f"in full; an aim is at most {far} off the screened figure"))
    volume = designs.content.get("hypervolume")
    if volume:
        size = f"{volume['value']:.4g} {_raised(volume['unit'])}"
        rows.append(("Hypervolume", size, _reference(designs, volume["from"])))
    return rows


def _designs(number: int) -> str:
    return "1 design" if number == 1 else f"{number:,} designs"


def _raised(unit: str) -> str:
    """Write powers of a unit as they are set: decades³."""
    return re.sub(r"\^(\d)\b", lambda power: "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(power[1])], unit)


def _reference(designs: Designs, reference: Mapping[str, float]) -> str:
    aims = {aim.field: aim for aim in designs.aims}
    corner = [f"{aims[field].name} {aims[field].say(value)}" for field, value in reference.items() if field in aims]
    return f"that the front beats, from {', '.join(corner)}; more is better"


def _apart(record: Record) -> str:
    """Write by how much measured figures differ from the screened ones."""
    differs = record.get("differs")
    return (
        "–" if differs is None else "none" if differs == 0 else percent(differs, 1.0) if differs >= 5e-4 else "< 0.1 %"
    )


def _spread(front: Sequence[Record], aims: Sequence[Figure], most: int) -> Sequence[Record]:
    """Return the best of each aim and others, evenly picked from the front in its order, `most` in all."""
    if len(front) <= most:
        return front
    best = {min(range(len(front)), key=lambda place: aim.cost(front[place])) for aim in aims}
    others = [place for place in range(len(front)) if place not in best]
    picked = np.linspace(0, len(others), max(most - len(best), 0), endpoint=False).astype(int)
    return [front[place] for place in sorted(best | {others[place] for place in picked})]


def _front(designs: Designs) -> Iterator[see.Section]:
    """Yield the table of the front: some of it in a terminal, all of it on a page, with what makes each design again."""
    front, figures = designs.front, designs.figures
    if not front:
        return
    some = _spread(front, designs.aims, SHOWN)
    all_of_them = len(some) == len(front)
    title = "Front" if all_of_them else f"Front: {len(some)} of {len(front):,} designs, from end to end"
    asked = [*designs.aims, *(figure for limit in designs.limits for figure in designs.limited(limit))]
    brief = list(dict.fromkeys(asked))
    # In a terminal what does not fit comes below: figures first.
    heads = ("design", *(figure.name for figure in brief), *designs.varied)
    lines = [_cells(designs, point, brief, first=True) for point in some]
    yield see.Table(title=title, heads=heads, lines=lines, where="terminal")
    heads = ("design", *designs.varied, *(figure.name for figure in figures))
    remark = "What no other design beats in all aims at once, by the first of them. Figures are screened"
    if designs.measured:
        in_full = (*(f"{figure.name}, in full" for figure in figures), *(figure.name for figure in designs.in_full))
        heads = (*heads, *in_full, "differs", *["executed"] * _executed(designs))
        remark += "; those in full stand beside them, and by how much an aim differs at most"
    candidates = [_candidate(designs, point) for point in front]
    yield see.Candidates(title="Front", heads=heads, candidates=candidates, remark=f"{remark}.", where="page")


def _executed(designs: Designs) -> bool:
    """Return whether anything is said of executing designs."""
    return any(record.get("refused") or record.get("verified") for record in designs.measured.values())


def _cells(designs: Designs, point: Record, figures: Sequence[Figure], first: bool = False) -> list[str]:
    """Return the number of a design, its parameters, and figures behind or, where they come `first`, before these."""
    values = [written(point["values"].get(key, "–")) for key in designs.varied]
    told = [figure.told(point) for figure in figures]
    return [str(point["number"]), *(told + values if first else values + told)]


def _candidate(designs: Designs, point: Record) -> see.Candidate:
    record, cells = designs.measured.get(point["number"], {}), _cells(designs, point, designs.figures)
    if designs.measured:
        in_full = [*designs.figures, *designs.in_full]
        cells += [figure.told(record) if record else "–" for figure in in_full]
        cells += [_apart(record), *[record.get("refused") or record.get("verified") or "–"] * _executed(designs)]
    networks = designs.content["networks"]
    paths = [address for address in map(_address, record.get("report") or ()) if address]
    names = ["open"] if len(paths) == 1 else networks
    return see.Candidate(point["number"], cells, record.get("command") or "", list(zip(names, paths, strict=False)))


def _address(path: str) -> str:
    """Return the address of a page below this one; nothing for any other."""
    parts = path.split("/")
    below = path.endswith(".html") and not any(part in ("", ".", "..") for part in parts)
    return quote(path) if below else ""


def _axis(figure: Figure, values: Sequence[float], *limits: float) -> see.Axis:
    """Return the axis of a figure, wide enough for values, and for limits that make it at most half as long again."""
    low, high = min(values), max(values)
    log = low > 0 and high >= SPAN * low
    for limit in limits:
        wider = (min(low, limit), max(high, limit))
        ratio = np.log(wider[1] / wider[0]) / np.log(high / low) if log and wider[0] > 0 else 0.0
        if (ratio <= 1.5) if log else (wider[1] - wider[0] <= 1.5 * (high - low)):
            low, high = wider
    if log:
        margin = (high / low) ** 0.04
        low, high = low / margin, high * margin
    else:
        margin = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
        low, high = max(low - margin, 0.0) if low >= 0 else low - margin, high + margin
    title = f"{figure.name}, more is better" if figure.more else figure.name
    return see.Axis(title, float(low), float(high), log=bool(log), unit=figure.unit)


def drawing(designs: Designs) -> see.Scatter:
    """Draw the front over the first two aims, coloured by the third; of one aim alone, over the order of trying."""
    content, aims = designs.content, designs.aims
    title = f"{', '.join(content['networks'])} on {content['chip']}: the front"
    order = Figure("design, in the order of trying", "number", "", more=False)
    across, up = (aims[0], aims[1]) if len(aims) > 1 else (order, aims[0])
    shade = aims[2] if len(aims) > 2 else None
    others = [point for point in thinned(designs, DRAWN) if designs.ranks.get(point["number"]) != 1]
    others = [point for point in others if across.of(point) is not None and up.of(point) is not None]
    front = [point for point in designs.front if across.of(point) is not None and up.of(point) is not None]
    shown = [*front, *others]
    if not shown:
        why = "no design can be compiled" if designs.points else "no design was tried"
        return see.Scatter(title=title, dots=(), others=(), across=see.Axis("", 0, 1), up=see.Axis("", 0, 1), empty=why)
    bounds = {
        side: [(limit_of(limit), limit_said(limit)) for limit in designs.limits if figure in designs.limited(limit)]
        for side, figure in (("across", across), ("up", up))
    }
    mark = _base(designs, across, up)
    axes = [
        _axis(figure, [figure.of(point) or 0.0 for point in shown], *(value for value, _ in bounds[side]), *stands)
        for side, figure, stands in (
            ("across", across, mark[:1] if mark else ()),
            ("up", up, mark[1:2] if mark else ()),
        )
    ]
    about = f"{_designs(len(designs.front))} on the front, {designs.tried:,} tried"
    left_out = designs.tried - designs.refused - len(shown)
    about += f"; {left_out:,} that can be compiled are not drawn" if left_out else ""
    if mark and all(axis.low <= value <= axis.high for axis, value in zip(axes, mark[:2], strict=True)):
        about += "; diamond: as it stands"
    shades = [value for point in front if shade and (value := shade.of(point)) is not None]
    return see.Scatter(
        title=title, about=about, where="page", across=axes[0], up=axes[1], larger=(across.more, up.more),
        shade=_axis(shade, shades) if shade and shades else None,
        mark=mark, dots=[
            see.Dot(across.of(point) or 0.0, up.of(point) or 0.0, shade.of(point) if shade else None, _tip(designs, point))
            for point in front
        ],
        others=[(across.of(point) or 0.0, up.of(point) or 0.0) for point in others],
        limits=[(side, value, words) for side, known in bounds.items() for value, words in known],  # type: ignore[misc]
    )  # fmt: skip


def _base(designs: Designs, across: Figure, up: Figure) -> tuple[float, float, str] | None:
    """Return where chip and strategy stand as they are, with what is told of them."""
    x, y = across.of(designs.base), up.of(designs.base)
    return None if x is None or y is None else (x, y, f"as it stands: {_figures(designs, designs.base)}")


def _tip(designs: Designs, point: Record) -> str:
    return f"design {point['number']}: {_figures(designs, point)}; {chosen(point['values'])}"


def _figures(designs: Designs, record: Record) -> str:
    return ", ".join(f"{figure.name} {figure.told(record)}" for figure in designs.figures)


def _charts(designs: Designs) -> see.Section:
    """Return what is drawn of all designs: by scripts, and where none runs."""
    still = drawing(designs)
    if not designs.compiled:
        return still
    data = page_data(designs)
    remarks = []
    if data["left_out"]:
        remarks.append(
            f"{data['left_out']:,} of {designs.tried - designs.refused:,} designs that can be compiled are not drawn, "
            "evenly picked; the whole front is."
        )
    if len(designs.aims) == 1:
        remarks.append(f"{designs.aims[0].name} is the only aim: the front is the best design, with those as good.")
    if len(designs.varied) == 1:
        remarks.append(f"{designs.varied[0]} is the only parameter.")
    return see.Designs(title="All designs", data=data, drawing=still, remarks=remarks, where="page")


def _importance(designs: Designs) -> Iterator[see.Section]:
    records = designs.content.get("importance") or ()
    aims = [aim for aim in designs.aims if any(record.get(aim.field) is not None for record in records)]
    if not records or not aims:
        return

    def most(record: Record) -> float:
        return max(record.get(aim.field) or 0.0 for aim in aims)

    ordered = sorted(records, key=most, reverse=True)
    about = "Share of the variance of an aim's logarithm that a parameter explains, of the designs that keep the limits"
    cells = [
        [
            see.Cell(share or 0.0, "–" if share is None else f"{share:.2f}", "",
                     f"{record['key']}, {aim.name}: {'not known' if share is None else percent(share, 1.0)}")
            for aim in aims for share in (record.get(aim.field),)
        ]
        for record in ordered
    ]  # fmt: skip
    lines = [
        (record["key"], *("–" if record.get(aim.field) is None else percent(record[aim.field], 1.0) for aim in aims))
        for record in ordered
    ]
    yield see.HeatMap(
        title="Importance of each parameter", about=about, rows=[record["key"] for record in ordered], where="page",
        columns=[aim.name for aim in aims], cells=cells, down="parameter", across="aim",
        remark="Of the designs that the search looked at, not of the space: what it has settled explains little. Shares need "
        "not sum to 1.",
    )  # fmt: skip
    heads = ("parameter", *(aim.name for aim in aims))
    yield see.Table(title="Importance   share of an aim's variance", heads=heads, lines=lines, where="terminal")


def _refused(designs: Designs) -> Iterator[see.Section]:
    """Yield why designs were refused: each reason with how many, an example, and what is said of it."""
    records = designs.content.get("refused") or ()
    by_number = {point["number"]: point for point in designs.points}
    for where in ("page", "terminal"):
        lines = []
        for record in sorted(records, key=lambda record: -record["count"]):
            example = by_number.get(record["example"], {"values": {}, "refused": None})
            said = example["refused"] or ""
            whole = (
                f"design {record['example']}: {chosen(example['values'])}"
                if where == "page"
                else str(record["example"])
            )
            why = (
                record["reason"]
                if said in ("", record["reason"]) or where == "terminal"
                else f"{record['reason']}: {said}"
            )
            lines.append((f"{record['count']:,}", whole, why))
        if lines:
            title = "Designs that cannot be compiled"
            yield see.Table(title=title, heads=("designs", "example", "why"), lines=lines, prose=True, where=where)
    if not designs.refused and designs.points:
        yield see.Notes(
            title="Designs that cannot be compiled", notes=("None: every design that was tried can be.",), where="page"
        )


def _space(designs: Designs) -> Iterator[see.Section]:
    """Yield the space that was searched: each parameter with its values, and the conditions on them."""
    conditions = (designs.content.get("space") or {}).get("when") or ()
    lines = [(key, str(len(values)), ", ".join(map(written, values))) for key, values in designs.axes.items()]
    if lines:
        remark = f"Only where {' and '.join(conditions)}." if conditions else ""
        title, heads = "Space", ("parameter", "values", "which")
        yield see.Table(title=title, heads=heads, lines=lines, prose=True, remark=remark, where="page")


def _about(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was searched for, where, how, and by which strategy."""
    aims = ", ".join(f"{aim['name']} ({'more' if aim['more'] else 'less'} is better)" for aim in content["aims"])
    limits = ", ".join(map(limit_said, content.get("limits") or ()))
    yield f"aims: {aims}" + (f" · limits: {limits}" if limits else "")
    space, search = content.get("space") or {}, content.get("search") or {}
    parts = [space.get("formula", ""), *(f"where {words}" for words in space.get("when") or ())]
    if search:
        more = [f"{name} {value}" for name, value in search.items() if name != "by" and value is not None]
        parts.append(f"search {', '.join([search['by'], *more])}")
    if any(parts):
        yield " · ".join(filter(None, parts))
    if content.get("strategy"):
        yield " · ".join(f"{stage.replace('_', ' ')}: {told['choice']}" for stage, told in content["strategy"].items())


def _sure(designs: Designs) -> Iterator[see.Section]:
    """Yield how sure the front is, where that was asked."""
    told = designs.content.get("standing")
    if told:
        lines = [
            (
                str(each["number"]),
                " to ".join(quantity(end, "J") for end in each["energy_j"]),
                " to ".join(quantity(end, "m²") for end in each["area_m2"]),
                "stays" if each["stays"] else f"may be beaten by {', '.join(map(str, each['beaten_by'][:5]))}",
            )
            for each in told
        ]
        share = percent(told[0]["share"], 1.0)
        heads = ("design", f"energy, {share} of draws", f"area, {share} of draws", "under all published constants")
        yield see.Table(title="How sure the front is", heads=heads, lines=lines, prose=True)


def _sentences(designs: Designs) -> Iterator[see.Sentence]:
    told = designs.content.get("standing")
    if told:
        stay = sum(each["stays"] for each in told)
        said = f"{stay} of {_designs(len(told))} of the front stay on it under all constants of their published ranges"
        others = "" if stay == len(told) else "; each other is beaten by one of the front under some"
        yield see.Sentence(f"{said}{others}.", "good" if stay == len(told) else "warn")
    if designs.kept:
        return
    if designs.nearest is None:
        yield see.Sentence("No design that was tried can be compiled.", "bad")
        return
    point = designs.nearest
    told = ", ".join(
        f"{limit_said(limit)} is asked, it has {' and '.join(figure.told(point) for figure in designs.limited(limit))}"
        for limit in designs.limits if limit["name"] in point["breaks"]
    )  # fmt: skip
    yield see.Sentence(
        f"No design keeps every limit. The nearest is design {point['number']} ({chosen(point['values'])}): {told}.",
        "warn",
    )


def view(exploration: Exploration) -> see.View:
    """Return the view of an exploration."""
    content = exploration.content
    designs = Designs(content)
    notes = content.get("notes") or ()
    sections: list[see.Section] = [see.Figures(rows=_cards(designs), cards=True), _charts(designs)]
    for part in (_front, _sure, _importance, _refused, _space):
        sections += part(designs)
    sections += [see.Notes(notes=notes)] * bool(notes)
    return see.View(
        f"{', '.join(content['networks'])} on {content['chip']}: {_designs(designs.tried)}",
        sections,
        list(_about(content)),
        list(_sentences(designs)),
        mark=f"mho {content['version']} · explore" if "version" in content else "mho explore",
    )


def files(exploration: Exploration) -> dict[str, see.Scatter]:
    """Return what is also written as a file of its own: the front."""
    return {"explore.svg": drawing(Designs(exploration.content))}
