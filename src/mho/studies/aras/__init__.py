"""The evaluation of ARAS (arXiv 2410.17931, Section VII), measured here and set beside the paper's figures."""

from __future__ import annotations

from mho import Chip
from mho.machine.systolic import Systolic
from mho.studies.aras.accuracy import accuracy
from mho.studies.aras.constants import constants
from mho.studies.aras.energy import energy
from mho.studies.aras.lifetime import lifetime
from mho.studies.aras.measure import Costs, Runs, ZooNetwork, costs_of, papers, systolic_cost, timed
from mho.studies.aras.measure_constants import events_of
from mho.studies.aras.measure_real import real_costs_of
from mho.studies.aras.overheads import overheads
from mho.studies.aras.paper import PAPER
from mho.studies.aras.pulses import pulses
from mho.studies.aras.speed import speed
from mho.studies.aras.systolic import systolic_energy, systolic_speed
from mho.studies.chapter import Chapter
from mho.studies.real import check_data, chosen
from mho.studies.rows import Study
from mho.studies.work import Work


def parts(work: Work) -> tuple[str, ...]:
    """Return the networks, which may be measured side by side."""
    check_data(work)
    return (*timed(work), *(real.name for real in chosen(work)))


def measure_part(work: Work, name: str) -> None:
    """Measure one network."""
    if name in timed(work):
        costs_of(work, name)
        systolic_cost(work, ZooNetwork(name))
        if name in papers(work):
            events_of(work, name)
    else:
        real_costs_of(work, name)


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper."""
    check_data(work)
    costs, arrays = on_zoo(work)
    real = {network.name: real_costs_of(work, network.name) for network in chosen(work)}
    *costly, added = of_zoo(work)
    chapters = (pulses(work, costs, real), *costly, under_constants(work), added, accuracy(work, real))
    settings = {
        "quick": work.settings.quick,
        "networks": list(costs),
        "means_over": list(papers(work)),
        "real_networks": list(real),
    }
    return PAPER.study("aras", _chips(costs, arrays), settings, chapters)


def on_zoo(work: Work) -> tuple[Costs, Runs]:
    """Measure all networks of the zoo, on chips and on the array."""
    costs = {name: costs_of(work, name) for name in timed(work)}
    return costs, {name: systolic_cost(work, ZooNetwork(name)) for name in timed(work)}


def of_zoo(work: Work) -> tuple[Chapter, ...]:
    """Return the chapters that are of networks of the zoo alone, at the chips' own constants; overheads are the last."""
    costs, arrays = on_zoo(work)
    return (
        speed(work, costs),
        energy(work, costs),
        lifetime(work, costs),
        systolic_speed(work, costs, arrays),
        systolic_energy(work, costs, arrays),
        overheads(work, costs),
    )


def under_constants(work: Work) -> Chapter:
    """Measure what Figures 15 to 17 rest on, and set their claims under published constants."""
    return constants(work, {name: events_of(work, name) for name in papers(work)})


def _chips(costs: Costs, arrays: Runs) -> dict[str, str]:
    """Name the chips and their digests."""
    chips = {run["chip"]: run["digest"] for runs in costs.values() for run in runs.values()}
    return {**dict(sorted(chips.items())), "tpu-like": next(iter(arrays.values()))["digest"]} | coherent_chips()


def coherent_chips() -> dict[str, str]:
    """Name the chips and the array of the coherent set, and their digests."""
    chips = {name: Chip.load(name).digest for name in ("aras-coherent", "aras-coherent-baseline")}
    return {**chips, "tpu-like-coherent": Systolic.load("tpu-like-coherent").digest}
