"""What a recommender's look-ups gain, as a person should see it: designs side by side, loads, batch times, where rows sit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mho.engineering import count, percent, quantity, ratio
from mho.explore.designs import OWN
from mho.explore.recommendation import Recommendation
from mho.machine.lookup.service import Service, spread
from mho.mapping.embedding.layout import Layout
from mho.network.trace import Trace
from mho.report import arrivals
from mho.report import sections as see
from mho.report.sure import factor_said

LAYOUT = "layout.npz"
POINTS = 240
"""Points of a curve, at most: more than a drawing can tell apart."""
NOTHING = 1.02
"""A gain of less is not worth a word."""
QUANTILES = (0, 25, 50, 75, 99, 100)

Ints = npt.NDArray[np.int64]
Shares = dict[str, dict[str, float]]
"""For each design how much of each part."""


def pair(outcome: Recommendation) -> tuple[str, ...]:
    """Return what is shown as before and after: the design that others are told against, and the one that is chosen."""
    return tuple(dict.fromkeys((outcome.against, outcome.chosen)))


def falling(name: str, values: npt.ArrayLike) -> see.Series:
    """Sort values and keep as many as a drawing can show, evenly spread over the logarithm of their ranks; zeros are left out."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    used = int(np.count_nonzero(ordered > 0))
    ranks = np.unique(np.round(np.geomspace(1, used, POINTS)).astype(np.int64)) if used else np.zeros(0, dtype=np.int64)
    idle = f", {count(len(ordered) - used)} idle" if used < len(ordered) else ""
    points = list(zip(ranks.tolist(), ordered[ranks - 1].tolist(), strict=True))
    return see.Series(f"{name}: {count(len(ordered))}{idle}", points)


def _curves(title: str, series: Sequence[see.Series], across: str, up: str, remark: str) -> see.Lines:
    ends = [point for line in series for point in line.points]
    ranks, values = [rank for rank, _ in ends], [value for _, value in ends]
    return see.Lines(
        title=title, series=series, remark=remark, where="page",
        across=see.Axis(across, 1.0, max(ranks, default=1.0), log=True),
        up=see.Axis(up, min(values, default=1.0), max(values, default=1.0), log=True),
    )  # fmt: skip


def loads(outcome: Recommendation) -> see.Lines:
    """Draw the activations of each instance while the test was served, before and after."""
    return _curves(
        "Load of each instance", [falling(name, outcome.services[name].loads) for name in pair(outcome)],
        "instances, the busiest first", "activations in the test",
        f"Activations while the test was served, {' and '.join(pair(outcome))}. The flatter, the less a batch waits for one array.",
    )  # fmt: skip


def asked(layout: Layout, trace: Trace) -> Ints:
    """Return how many bags of a trace touch each group: int64 (groups,)."""
    return np.bincount(layout.touched(trace) % layout.groups, minlength=layout.groups)


def expected(outcome: Recommendation) -> see.Lines:
    """Draw how often 1000 bags like those of the history touch each group of the chosen layout, and each of its copies."""
    layout, history = outcome.designs[outcome.chosen].layout, outcome.request.history
    touched = 1000 * asked(layout, history) / max(history.bags, 1)
    of_copies = np.repeat(touched / layout.copies, layout.copies)
    return _curves(
        "Load that the history lets expect", (falling("each group", touched), falling("each copy", of_copies)),
        f"groups and copies of {outcome.chosen}, the busiest first", "of 1000 bags",
        f"How many of 1000 bags touch each group of {outcome.chosen}, and what is left for each copy.",
    )  # fmt: skip


def _bins(most: int) -> list[tuple[int, int]]:
    """Return bins that double, from 1 on, up to one that holds `most`."""
    bins = [(1, 1)]
    while bins[-1][1] < most:
        low = bins[-1][1] + 1
        bins.append((low, 2 * low - 2 if low > 2 else 2))
    return bins


def binned(counts: Sequence[tuple[str, Ints]]) -> Shares:
    """Return for each design the shares of numbers from 1 on, in bins that double, from how often each number occurs."""
    most = max((int(np.flatnonzero(times).max(initial=1)) for _, times in counts), default=1)
    names = {(low, high): str(low) if low == high else f"{low}–{high}" for low, high in _bins(most)}
    return {
        design: {
            name: float(times[low : high + 1].sum() / times[1:].sum()) if times[1:].sum() else 0.0
            for (low, high), name in names.items()
        }
        for design, times in counts
    }


def groups_touched(outcome: Recommendation) -> Shares:
    """Return the shares of the test's bags, but for empty ones, by how many groups they touch, before and after."""
    test = outcome.test
    touched = {name: outcome.designs[name].layout.groups_per_bag(test) for name in pair(outcome)}
    return binned([(name, np.bincount(per_bag, minlength=2)) for name, per_bag in touched.items()])


def rows_driven(outcome: Recommendation) -> Shares:
    """Return the shares of activations by how many look-ups they serve, before and after."""
    return binned([(name, outcome.services[name].counted.by_rows) for name in pair(outcome)])


def _histogram(title: str, shares: Shares, axis: str, remark: str) -> see.Columns:
    bins = next(iter(shares.values()))
    columns = [see.Column(name, design, {"": 100 * shares[design][name]}) for name in bins for design in shares]
    return see.Columns(title=title, columns=columns, axis=axis, remark=remark, where="page")


def modes(outcome: Recommendation) -> Shares:
    """Return the shares of activations by the bits that their ADCs resolve, the fewest first."""
    bits = sorted({bits for service in outcome.services.values() for bits in service.modes()})
    return {
        name: {f"{resolved} bits": service.modes().get(resolved, 0) / max(service.activations, 1) for resolved in bits}
        for name, service in outcome.services.items()
    }


def mean_bits(service: Service) -> float:
    """Return the bits that an activation's ADCs resolve on average; 0 without activations."""
    return sum(bits * number for bits, number in service.modes().items()) / max(service.activations, 1)


def energies(outcome: Recommendation) -> Shares:
    """Return the joules of a query by component, the component that takes most over all designs first."""
    sums: Shares = {}
    for name, service in outcome.services.items():
        for (component, _), joules in service.energy.items():
            of_designs = sums.setdefault(component, {})
            of_designs[name] = of_designs.get(name, 0.0) + joules / max(service.queries, 1)
    taking = [component for component, of_designs in sums.items() if any(of_designs.values())]
    taking.sort(key=lambda component: -sum(sums[component].values()))
    return {name: {component: sums[component].get(name, 0.0) for component in taking} for name in outcome.services}


def measures(outcome: Recommendation) -> list[tuple[str, list[str]]]:
    """Return the table of designs, a line for each measure: what, and how much for each design."""
    services = list(outcome.services.values())

    def line(what: str, tell: Callable[[Service], str]) -> tuple[str, list[str]]:
        return what, [tell(service) for service in services]

    gains, against = [outcome.gain(name) for name in outcome.designs], outcome.against
    sure = ["–" if name == against else factor_said(each) for name, each in outcome.sure.items()]
    return [
        line("activations a bag", lambda service: count(service.activations / max(service.bags, 1))),
        line("look-ups an activation", lambda service: count(service.lookups / max(service.activations, 1))),
        line("time of a batch, mean", lambda service: quantity(spread(service.batch_s)["mean"], "s")),
        line("median", lambda service: quantity(spread(service.batch_s)["p50"], "s")),
        line("99th percentile", lambda service: quantity(spread(service.batch_s)["p99"], "s")),
        line("energy of a query", lambda service: quantity(service.energy_j / max(service.queries, 1), "J")),
        line("area", lambda service: quantity(sum(service.area_m2.values()), "m²")),
        line("area, of the least", lambda service: ratio(service.layout.area_ratio)),
        line("filling the tables, once", lambda service: quantity(service.setup["latency_s"], "s")),
        line("energy of that", lambda service: quantity(service.setup["energy_j"], "J")),
        line("busiest array", busiest),
        (f"time of {against} / this", [ratio(gain["time"]) for gain in gains]),
        (f"energy of {against} / this", [ratio(gain["energy"]) for gain in gains]),
        *([("how sure", sure)] if sure else []),
    ]


def split_lines(outcome: Recommendation) -> list[tuple[str, str, str, str]]:
    """Return what each idea brings to the design mho: which, by how many times less time and energy, and what it is.

    Last comes the whole gain, and what copies alone bring to the naive mapping. Nothing where that design was not asked for.
    """
    if not outcome.taken:
        return []
    gains = [(gain, f"+ {gain.name}") for gain in outcome.split] + [(outcome.whole, "together")]
    if outcome.copied is not None:
        gains.append((outcome.copied, f"{outcome.against}, copied"))
    return [(name, ratio(gain.time), ratio(gain.energy), gain.says) for gain, name in gains]


def split_verdict(outcome: Recommendation) -> str:
    """Say in a sentence where the gain of the design mho comes from; nothing where it was not asked for."""
    if not outcome.taken:
        return ""

    def most(what: str) -> str:
        ordered = sorted(outcome.split, key=lambda gain: -getattr(gain, what))
        gained = [
            f"{gain.name} ({ratio(getattr(gain, what))})" for gain in ordered[:2] if getattr(gain, what) > NOTHING
        ]
        lost = [f"{gain.name} ({ratio(getattr(gain, what))})" for gain in ordered if getattr(gain, what) < 1 / NOTHING]
        said = f"less {what} comes from {' and '.join(gained)}" if gained else f"nothing makes it less {what}"
        return said + (f", against {' and '.join(lost)}" if lost else "")

    whole = outcome.whole
    return (
        f"{OWN} takes {ratio(whole.time)} less time and {ratio(whole.energy)} less energy than the naive mapping of one copy: "
        f"{most('time')}; {most('energy')}."
    )


def busiest(service: Service) -> str:
    """Return the share of the time for which the busiest instance is busy."""
    return percent(service.utilisation()["arrays_most"], 1.0)


def trace_lines(outcome: Recommendation) -> list[tuple[str, str, str]]:
    """Return what history and test are like: what, how much, and a remark."""
    known, test, unseen = outcome.statistics, outcome.test, outcome.unseen
    queries = next(iter(outcome.services.values())).queries
    lengths = ", ".join(f"{value} for {share} %" for share, value in known.length_percentiles.items())
    lines = [
        ("rows", count(sum(known.rows)), f"in {_tables(len(known.rows))}; {count(known.distinct)} looked up"),
        ("history", f"{count(known.queries)} queries", f"{count(known.bags)} bags, {count(known.lookups)} look-ups"),
        ("test", f"{count(queries)} queries", f"{count(test.bags)} bags, {count(test.lookups)} look-ups"),
        ("unseen", percent(unseen.lookups, 1.0), "of the test's look-ups are of rows that the history never has"),
        ("bag length", count(known.length_mean), f"up to {lengths}; at most {known.length_max}"),
    ]
    lines += [
        (f"top {100 * share:g} % of rows", percent(part, 1.0), "of the look-ups") for share, part in known.head.items()
    ]
    if known.power_law is not None:
        lines.append(("power law", f"{known.power_law.alpha:.2f}", "exponent of how often rows are looked up"))
    if known.lift is None:
        lines.append(("lift of pairs", "none", "no pair of one bag has both rows elsewhere"))
    else:
        lines.append(("lift of pairs", count(known.lift), "1: rows occur together by chance; more: grouping can gain"))
    return lines


def _tables(number: int) -> str:
    return "one table" if number == 1 else f"{number} tables"


def cards(outcome: Recommendation) -> list[tuple[str, str, str]]:
    """Return the numbers on top of the page: what, how much, and a remark."""
    name, against = outcome.chosen, outcome.against
    service, layout, unseen = outcome.services[name], outcome.designs[name].layout, outcome.unseen
    gains, times = outcome.gain(name), spread(service.batch_s)

    def beside(what: str, more: str) -> str:
        return more if name == against else f"{against} takes {ratio(gains[what])} that; {more}"

    copies = layout.instances - layout.groups
    return [
        (
            "Design",
            name,
            f"least time x energy of {len(outcome.designs)}" if len(outcome.designs) > 1 else "no other was asked for",
        ),
        (
            "Time of a batch",
            quantity(times["mean"], "s"),
            beside("time", f"{quantity(times['p99'], 's')} at the 99th percentile"),
        ),
        (
            "Energy of a query",
            quantity(service.energy_j / max(service.queries, 1), "J"),
            beside("energy", "leakage included"),
        ),
        (
            "Activations of a bag",
            count(service.activations / max(service.bags, 1)),
            beside("activations", f"{count(service.lookups / max(service.activations, 1))} look-ups each"),
        ),
        (
            "Area",
            quantity(sum(service.area_m2.values()), "m²"),
            f"{ratio(layout.area_ratio)} the least that holds every row; budget {ratio(outcome.request.budget)}",
        ),
        ("Groups", count(layout.groups), f"{count(copies)} more copies of groups"),
        ("Busiest array", busiest(service), "of the time busy; waiting for ADCs included"),
        ("Unseen", percent(unseen.lookups, 1.0), "of the test's look-ups: the history never has their rows"),
    ]


def _by_design(title: str, shares: Shares, chosen: str) -> see.Table:
    """Lay out the shares of parts, a column a design."""
    parts = next(iter(shares.values()), {})
    lines = [(part, *(percent(of[part], sum(of.values())) for of in shares.values())) for part in parts]
    return see.Table(
        title=title, heads=("", *shares), lines=lines, chosen=1 + list(shares).index(chosen), where="terminal"
    )


def _example(outcome: Recommendation) -> str:
    """Return how the seat of the row that the history looks up most is asked for."""
    history = outcome.request.history
    row = int(np.bincount(history.flat, minlength=1).argmax())
    table = int(np.searchsorted(history.base, row, side="right")) - 1
    called = history.original(table)[row - int(history.base[table])].item()
    return repr(called) if len(history.rows) == 1 else f"{called!r}, {history.names[table]!r}"


def _seats(outcome: Recommendation) -> see.Listing:
    return see.Listing(
        title="Where each row sits", where="page",
        remark=f"{LAYOUT} holds, for each place of a row of design {outcome.chosen}: its table, what the trace's file calls the "
        "row, the group, and the wordline there; and the copies of each group, with the tile of each (docs/recommend.md).",
        text=f'from mho import Seating\nplace = Seating.load("{LAYOUT}").where({_example(outcome)})\n'
        "print(place.group, place.wordline, place.instances, place.tiles)",
    )  # fmt: skip


def _notes(outcome: Recommendation) -> see.Notes:
    """Return the notes, of which a terminal leaves out those of the chip, which are many and no news."""
    chip = outcome.request.chip
    brief = [note for note in outcome.notes() if note not in chip.notes]
    left = len(outcome.notes()) - len(brief)
    if left:
        brief.append(f"{left} assumptions of chip {chip.name}: in recommend.html (--out), or --json")
    return see.Notes(title="Assumptions and notes", notes=outcome.notes(), brief=brief)


def _drawings(outcome: Recommendation) -> list[see.Section]:
    services = outcome.services.items()
    spans = [(name, np.percentile(service.batch_s, QUANTILES).tolist()) for name, service in services]
    bits = [see.Bar(name, of, f"mean {mean_bits(outcome.services[name]):.1f}") for name, of in modes(outcome).items()]
    return [
        loads(outcome),
        expected(outcome),
        _histogram("Groups touched by a bag", groups_touched(outcome), "% of bags",
                   "Of the test's bags. A group that is touched is an activation, or more where a row is asked for again."),
        _histogram("Look-ups of an activation", rows_driven(outcome), "% of activations",
                   "One look-up alone is a plain read; more are summed in the array."),
        see.Spans(title="Batch times", spans=spans, across="time of a batch", where="page",
              remark="Line: least to most. Box: the middle half, with the median. Dot: 99th percentile."),
        see.Bars(title="ADC modes", bars=bits, unit="%", ordered=True, where="page",
             remark="Share of activations by the bits that their ADCs resolve; their mean at the end."),
        see.Bars(title="Energy of a query by component", bars=[see.Bar(name, of) for name, of in energies(outcome).items()],
             unit="J", remark="Compute and leakage together.", where="page"),
    ]  # fmt: skip


def view(outcome: Recommendation) -> see.View:
    """Return the view of a outcome."""
    request, designs = outcome.request, list(outcome.designs)
    areas = "in equal areas" if request.equal else "each in the area that it comes with"
    sections: list[see.Section] = [
        see.Figures(rows=cards(outcome), cards=True, where="page"),
        see.Table(title="Designs", heads=("", *designs), lines=[(what, *numbers) for what, numbers in measures(outcome)],
              chosen=1 + designs.index(outcome.chosen),
              remark="Each made from the history alone, on the same parts and in the same costs; all serve the same test, "
              f"{areas}."),
        see.Table(title="What they are", heads=("", ""), lines=[(name, design.says) for name, design in outcome.designs.items()],
              prose=True, tones={designs.index(outcome.chosen): "strong"}),
    ]  # fmt: skip
    if outcome.taken:
        lines = split_lines(outcome)
        tones: dict[int, see.Tone] = {[name for name, *_ in lines].index("together"): "strong"}
        remark = (
            "From the naive mapping of one copy to the design mho, one idea more in each line: how many times less time and "
            "energy than the line before."
        )
        title, heads = "Where the gain comes from", ("", "time", "energy", "")
        sections.append(see.Table(title=title, heads=heads, lines=lines, prose=True, tones=tones, remark=remark))
    waits = {name: waited.to_dict() for name, waited in outcome.open.items()}
    sections += [*arrivals.shown(waits, outcome.chosen), *_drawings(outcome)]
    sections += [
        _by_design("ADC modes   share of activations", modes(outcome), outcome.chosen),
        _by_design("Energy by component", energies(outcome), outcome.chosen),
        see.Figures(
            title="The trace", rows=trace_lines(outcome), remark="Of the history, but for the lines of the test."
        ),
        _seats(outcome),
        _notes(outcome),
    ]
    synthetic = see.Sentence("SYNTHETIC: this trace was made up, not measured; so is every number below.", "warn")
    return see.View(
        f"{outcome.chosen} on {request.chip.name}",
        sections,
        (
            f"rows of {request.dimension} features · batches of {request.batch} queries · area budget {request.budget:g} · "
            f"seed {request.seed}",
            f"history: {request.history.origin}",
            f"test: {outcome.test.origin}",
        ),
        [synthetic] if outcome.synthetic else [],
        said=f"{split_verdict(outcome)} {arrivals.said(waits[outcome.chosen]) if waits else ''}".strip(),
        mark="mho recommend",
    )


def files(outcome: Recommendation) -> dict[str, bytes]:
    """Return what is kept beside data and page: where each row sits."""
    return {LAYOUT: outcome.seating.packed()}
