"""Which common mean the weights of a program are shifted to (ARAS section V-C), judged by what the program overwrites.

ARAS evaluates its six centres and takes "the one that incurs the lowest accuracy loss and achieves the highest skipping
ratio". The rule here: candidates are the centres and no shift at all. They are tried from the fewest pulses up, pulses being
those that the program's own writes cost in steady state, all copies and parts included (`machine.cells`); of candidates whose
pulses differ by less than `ALIKE` of those without a shift, the one that clips less comes first, since clipping costs accuracy
that few samples may not show. The first whose loss counts as none is taken:

- with labelled samples, at most `TOLERANCE` of them, net, lost against the codes as they came, since differences of a few
  samples in some hundred are noise; where every candidate loses more (narrowed cells), the one that loses least;
- without labels, at most `MOST_CLIPPED` of all weights clipped.

No shift clips nothing, so nothing is taken that costs more pulses than no shift, unless no shift loses too much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mho.chip import Chip
from mho.errors import OptionError, StrategyError
from mho.machine.cells import overwritten
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number.accuracy import classified
from mho.number.alignment import CENTRES, HIGHEST, align, narrow
from mho.number.coded import QuantisedNetwork
from mho.number.sampled import Sampled
from mho.program import Program
from mho.schedule.stages import Alignment, LowCell
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

TOLERANCE = 0.0025
"""Share of the labelled samples that a candidate may lose, net, and still count as losing none: half of the half point
that is allowed in all.
"""
ALIKE = 0.02
"""Pulses that count as equal, as a share of those without a shift."""
MOST_CLIPPED = 0.0005
"""Share of all weights that a candidate may clip, where there are no labels, and still count as clipping none."""


@dataclass(frozen=True)
class CentreCandidate:
    """A centre (None: no shift) and what came of it.

    `pulses` and `skip_ratio` (the share of addressed cells that keep their level) are of one inference in steady state;
    `right` is how many samples are classified rightly, None where it was not asked.
    """

    centre: int | None
    pulses: float
    skip_ratio: float
    clipped_share: float
    right: int | None = None


@dataclass(frozen=True)
class CentreChoice:
    """The candidate taken, and all candidates in the order in which they are tried. `by` says by what losses were judged."""

    taken: CentreCandidate
    candidates: tuple[CentreCandidate, ...]
    by: str

    def __str__(self) -> str:
        """Say it in a line."""
        taken, none = self.taken, next(each for each in self.candidates if each.centre is None)
        what = "no shift" if taken.centre is None else f"centre {taken.centre}"
        saved = f", {1 - taken.pulses / none.pulses:.1%} fewer pulses than without a shift" if none.pulses else ""
        return f"{what} chosen from {len(self.candidates)} candidates by {self.by}{saved}"


def overwriting(program: Program) -> tuple[float, float]:
    """Return the pulses of one inference in steady state, and the share of addressed cells that keep their level (0: none)."""
    count = overwritten(program)
    kept = 1 - count.changed / count.addressed if count.addressed else 0.0
    return count.steps * program.chip.pulses_per_level, kept


def choose_centre(
    program: Program,
    *,
    centres: Sequence[int] = CENTRES,
    low_cell: str = "all",
    samples: Samples | None = None,
    tolerance: float = TOLERANCE,
    most_clipped: float = MOST_CLIPPED,
) -> CentreChoice:
    """Choose a centre for a program whose weights are known and not yet aligned, by the rule above.

    `samples` with labels judge by accuracy of the integers, which needs calibrated activations; else the share of clipped
    weights judges. `low_cell` as in `prepared`. Raises OptionError for samples without labels and for what `align` and
    `prepared` refuse.
    """
    quantised = weights_of(program.network, program.quantised)
    candidates = []
    for centre in dict.fromkeys((None, *centres)):
        codes = prepared(quantised, centre, low_cell, program.chip.array.cell_bits)
        share = codes.alignment.clipped_share if codes.alignment and centre is not None else 0.0
        candidates.append(CentreCandidate(centre, *overwriting(replace(program, quantised=codes)), share))
    candidates = _ordered(candidates)
    if samples is None:
        taken = next(each for each in candidates if each.centre is None or each.clipped_share <= most_clipped)
        return CentreChoice(taken, tuple(candidates), f"clipped weights (at most {most_clipped:.2%})")

    by = f"accuracy on {samples.origin} ({len(samples)} samples, at most {tolerance:.2%} of them lost)"
    untouched = int(np.count_nonzero(classified(quantised, samples)))
    tried: list[tuple[int, CentreCandidate]] = []
    for place, each in enumerate(candidates):
        codes = prepared(quantised, each.centre, low_cell, program.chip.array.cell_bits)
        right = untouched if codes is quantised else int(np.count_nonzero(classified(codes, samples)))
        candidates[place] = replace(each, right=right)
        tried.append((right, candidates[place]))
        if untouched - right <= tolerance * len(samples):
            return CentreChoice(candidates[place], tuple(candidates), by)
    return CentreChoice(max(tried, key=lambda pair: pair[0])[1], tuple(candidates), by)


def _ordered(candidates: list[CentreCandidate]) -> list[CentreCandidate]:
    """Order from the fewest pulses up, those alike in pulses from the fewest clipped weights up (so no shift comes first)."""
    alike = ALIKE * next(each.pulses for each in candidates if each.centre is None)
    left, ordered = sorted(candidates, key=lambda each: each.pulses), []
    while left:
        limit = left[0].pulses + alike
        ordered += sorted((each for each in left if each.pulses <= limit), key=lambda each: each.clipped_share)
        left = [each for each in left if each.pulses > limit]
    return ordered


def prepared(quantised: QuantisedNetwork, centre: int | None, low_cell: str, cell_bits: int) -> QuantisedNetwork:
    """Shift the weights to a centre, if there is one, and narrow the least significant cells where `low_cell` is "lower"."""
    if centre is not None:
        quantised = align(quantised, centre)
    return narrow(quantised, cell_bits) if low_cell == "lower" else quantised


def aligned(program: Program, low_cell: str, samples: Samples | None = None) -> Program:
    """Return the same instructions with the weights shifted to the centre that `choose_centre` takes, and notes that say so."""
    choice = choose_centre(program, low_cell=low_cell, samples=samples)
    known = weights_of(program.network, program.quantised)
    codes = prepared(known, choice.taken.centre, low_cell, program.chip.array.cell_bits)
    done = () if codes.alignment is None else (str(codes.alignment),)
    return replace(program, quantised=codes, notes=(*program.notes, f"alignment of weights: {choice}", *done))


def weights_of(network: Network, quantised: QuantisedNetwork | None) -> QuantisedNetwork:
    """Return the weights that are to be aligned; OptionError where there are none."""
    if quantised is None:
        raise OptionError(f"alignment needs weights, and {network.name} is known by shapes alone; load it with weights")
    return quantised


@choice("alignment", "none")
class AsTheyAre(Alignment):
    """Codes of weights stay where they are."""


@choice("alignment", "auto", papers=("aras",), weighted=True)
class Chosen(Alignment):
    """Codes shifted to the centre that overwrites with the fewest pulses at no loss that counts (see `schedule.centre`)."""

    late = True

    def after(self, program: Program, subject: Sampled) -> Program:
        """Choose the centre by what the program overwrites."""
        return aligned(program, program.strategy.low_cell.name, subject.judging)


@choice("alignment", "centre", papers=("aras",), weighted=True, short="centre")
class Centred(Alignment):
    """Codes shifted so that their mean is `centre`."""

    centre: int = setting(default=CENTRES[0], least=0, most=HIGHEST, help="The mean that codes are shifted to.")

    def before(self, quantised: QuantisedNetwork, chip: Chip, strategy: Strategy) -> QuantisedNetwork:
        """Return the network with its codes shifted."""
        return align(quantised, self.centre)


@choice("low_cell", "all")
class AllLevels(LowCell):
    """The least significant cells take all levels."""


@choice("low_cell", "lower", weighted=True)
class Lower(LowCell):
    """The least significant cells keep to their lowest levels where a weight can bear it."""

    def before(self, quantised: QuantisedNetwork, chip: Chip, strategy: Strategy) -> QuantisedNetwork:
        """Narrow the cells, unless that waits for the centre."""
        return quantised if strategy.get(Alignment).late else narrow(quantised, chip.array.cell_bits)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip on which no cell holds the lowest digit of a code, or whose cells have no level to give up."""
        yield from super().refusals(subject, chip, strategy)
        if not chip.coding.low_digit:
            yield self.refuse(
                f"goes by the lowest digit of a weight code; coding {chip.coding.name} in cells of {chip.coding.cell_text} "
                "has no cell that holds it",
                bound="array.coding",
            )
        elif chip.array.cell_bits < 2:
            yield self.refuse(
                f"cells of 2 to 8 bits can give up levels; those of chip {chip.name} have {chip.array.cell_bits}",
                bound="array.cell_bits",
            )
