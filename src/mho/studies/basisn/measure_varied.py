"""What is left of the accuracy on chips of one instance whose cells are off, or whose converters are as few bits as they are."""

from __future__ import annotations

from typing import Any

import mho
from mho.network.samples import Samples
from mho.studies.basisn.chips import combining
from mho.studies.basisn.measure import BANKS
from mho.studies.basisn.measure_real import Judged, fits
from mho.studies.work import Work, measured

VARIED, CONVERTED = 200, 40
"""Images that are judged on each drawn chip, and with the chip's own converters: evenly spread, since the file goes by class."""
SIGMA, SEEDS = 0.1, 3
"""Spread of a cell as a part of its full range, and how many chips are drawn."""
ON_CHIPS = ("learned", "universal")
ARRAYS = 4
"""Of a chip of one instance of 512 vectors."""


def program(subject: Judged, key: str) -> mho.Program:
    """Compile a fit for one instance; elements of two levels have cells of one bit, whose full range is one level."""
    fit = fits(subject.work)[key]
    chip = combining(ARRAYS, fit.vectors, {"array.cell_bits": 1} if fit.levels == 2 else None)
    return mho.compile(subject.fitted(key), chip, mho.Strategy.load("basisn").with_(coding="bytes", banks=BANKS))


def spread(subject: Judged, count: int) -> Samples:
    """Return so many of the images that judge, evenly spread."""
    return subject.samples if count >= len(subject.samples) else subject.samples.spread(count)


@measured("{0}: cells that are off")
def varied(subject: Judged, key: str) -> dict[str, Any]:
    """Count what chips classify rightly whose cells are off, with converters that resolve every sum."""
    analog = mho.machine.Analog().override({"adc.bits": "ideal", "device.programming.sigma": SIGMA})
    samples = spread(subject, VARIED)
    seeds = 1 if subject.quick else SEEDS
    found = mho.explore.evaluate(program(subject, key), samples, analog, seeds=seeds)
    return {"samples": len(samples), "right": list(found.right), "ideal": found.right_in_integers}


@measured("{0}: fitted to the cells of chip {1}")
def refitted(subject: Judged, key: str, seed: int) -> dict[str, Any]:
    """Count what one drawn chip classifies rightly, with the codes as they were and with codes fitted to its cells as read."""
    analog = mho.machine.Analog().override({"adc.bits": "ideal", "device.programming.sigma": SIGMA, "seed": seed})
    samples, before, coded = spread(subject, VARIED), program(subject, key), subject.fitted(key)
    assert coded.basis is not None
    cells = mho.machine.read_basis(before, analog)[0]
    fitted = mho.number.fit_basis(
        subject.network, subject.calibration.inputs, nonzeros=fits(subject.work)[key].nonzeros, basis=coded.basis,
        cells=cells, **subject.options,
    )  # fmt: skip
    after = mho.compile(fitted, before.chip, before.strategy)
    kept, anew = (mho.explore.evaluate(each, samples, analog, seeds=1) for each in (before, after))
    return {"samples": len(samples), "kept": kept.right[0], "anew": anew.right[0], "ideal": kept.right_in_integers}


@measured("{0}: converters of few bits")
def converted(subject: Judged, key: str) -> dict[str, Any]:
    """Count what the chip's own converters leave right, their range the largest sum that there may be, or one set on samples."""
    samples, rights = spread(subject, CONVERTED), dict[str, Any]()
    compiled = program(subject, key)
    for reach in ("full", "calibrated"):
        analog = mho.machine.Analog().override({"adc.range": reach})
        found = mho.explore.evaluate(compiled, samples, analog, calibration=subject.calibration)
        rights[reach] = found.right[0]
    return {"samples": len(samples), **rights, "ideal": found.right_in_integers, "bits": compiled.chip.array.adc_bits}


def on_chips(work: Work) -> dict[str, Any]:
    """Measure both where there are real data."""
    if work.settings.data is None:
        return {"varied": {}, "refitted": {}, "converted": {}}
    subject = Judged(work, work.settings.data)
    keys = [key for key in ON_CHIPS if key in fits(work)]
    return {
        "varied": {key: varied(subject, key) for key in keys},
        "refitted": {key: refitted(subject, key, 0) for key in keys},
        "converted": {} if subject.quick else {key: converted(subject, key) for key in keys[:1]},
    }
