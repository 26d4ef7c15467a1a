"""How weights become codes: the choices of stage coding, from 8-bit codes to a coding of its own for each layer under a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from mho.chip import Chip
from mho.errors import NumberError, OptionError, StrategyError
from mho.mapping import Mapper, Squeezed
from mho.mapping.budget import frontier, mixed
from mho.network.graph import Network
from mho.network.samples import Samples
from mho.number import Grid, Planes, QuantisedNetwork, Sampled, quantise, recode
from mho.number.bits import BYTES, Bits, LayerBits, asked
from mho.number.budget import Budget, seen_samples
from mho.number.frontier import changed, first_output
from mho.number.precision import bits_of, precision_of
from mho.number.recode import METHODS, SAID, bits_needed, form
from mho.number.requantise import FLOAT, multiplier_bits
from mho.schedule.stages import Coding, Say
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

UNCHANGED = "8 bits"
"""The first coding that layers choose from under a budget: the network as it is quantised."""
_PER_CHANNEL = "One weight scale for each output channel instead of one a tensor."
_SYMMETRIC = "Weight codes whose middle stands for 0, as suits cells in differential pairs (--set chip.array.coding=differential)."
_GRID = (
    "Round weights, as sign and magnitude, to few magnitudes: window:8:3 (8 bits, set ones within 3 places in a row), uniform:5, "
    "power-of-two:8, or additive-power-of-two:8:2 (sums of 2); or to levels in few bit planes, planes:2.5 (on average, scales one "
    "an output). Changes what is computed: see mho verify --accuracy. Several only with a budget."
)
_ROUNDING = (
    "How weights meet the grid: to the nearest magnitude, or for the least error of a layer's output on some samples."
)
_SQUEEZE = (
    "Keep the X top bits of magnitudes empty (X up to 2 less than the grid's bits): rows that reach into them lose low bits "
    "and are stored shifted. Saves arrays with mapping squeezed. Several only with a budget."
)
_BITS = (
    "Bits of weights (1 to 16) and inputs (1 to 8): 4, or 4/6 (weights/inputs), or by layer name or pattern, of which the first "
    "that a layer matches counts: 'conv1=8,layer3.*=4/6,*=4'; else 8. Several (2,3,4,6) only with a budget. Changes what is "
    "computed: see mho verify --accuracy."
)
_BUDGET = (
    "Give each layer, of 8 bits and every grid with every squeeze, the coding of fewest arrays (mapping squeezed), or, of 8 and "
    "several --bits, those of fewest cells times input steps, whose errors sum to at most E: squared error of the network's output "
    "over its variance, of each layer alone, on calibration samples."
)
_REQUANTISE = (
    "How sums become codes: float64, or integers, by multipliers of so many bits (8 to 31) and a shift, as digital logic does it. "
    "Changes what is computed where a value lies next to a half (docs/number.md)."
)
_GIVE = "give some by `calibration` or `data`"
_BITS_EXAMPLES = ("8", "4", "5/3", "*=2/6")
_FORMS = ("window:8:3", "uniform:5", "power-of-two:8", "additive-power-of-two:8:2", "planes:2.5")


def _forms(texts: tuple[str, ...]) -> None:
    _once([str(form(text)) for text in texts])


def _several(texts: tuple[str, ...]) -> None:
    _once(texts)
    Budget(0.0, texts)


def _once(values: Sequence[str] | Sequence[int]) -> None:
    twice = next((value for number, value in enumerate(values) if value in values[:number]), None)
    if twice is not None:
        raise OptionError(f"names {twice} twice")


class _Quantising(Coding):
    """What every coding that quantises has."""

    per_channel: bool
    symmetric: bool = False
    requantise: str = FLOAT

    @property
    def wanted(self) -> str:
        """The bits that are asked of layers, as text."""
        return str(getattr(self, "bits", BYTES))

    @property
    def grids(self) -> tuple[str, ...]:
        """The grids that weights are put on."""
        given = getattr(self, "grid", ())
        return (given,) if isinstance(given, str) else tuple(given)

    def bits_of(self, network: Network) -> Bits:
        """Return the bits of each layer, which are known of shapes alone."""
        return bits_of(network, self.wanted)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse bits that a network's layers, or symmetric codes, cannot have, and those of a network that is coded already."""
        yield from super().refusals(subject, chip, strategy)
        if subject.quantised is not None:
            return
        try:
            weights = precision_of(subject.net, self.wanted).weights
        except NumberError as error:
            yield self.refuse(str(error), field="bits")
            return
        if self.symmetric and 1 in weights.values():
            yield self.refuse(
                "has weights of 1 bit, whose codes have no middle", field="bits", bound="coding.symmetric"
            )
        fewest = min(weights, key=weights.__getitem__, default=None)
        for grid in self.grids:
            if fewest is not None and weights[fewest] < bits_needed(form(grid)):
                yield self.refuse(
                    f"takes weights of {bits_needed(form(grid))} bits; layer {fewest!r} has {weights[fewest]}",
                    field="grid",
                    bound="coding.bits",
                )

    def _too_tight(self, squeezes: Sequence[int]) -> Iterator[StrategyError]:
        """Refuse numbers of planes that cannot be squeezed out of weights on any of its grids, the first that is too large."""
        forms = [form(text) for text in self.grids]
        grids = [grid for grid in forms if isinstance(grid, Grid)]
        tight = next(((grid, grid.bits - 2) for grid, top in product(grids, squeezes) if top > grid.bits - 2), None)
        if forms and not grids and any(squeezes):
            demanded = f"is for grids; weights of grid {forms[0]} take as many planes as they are given"
            yield self.refuse(demanded, field="squeeze", bound="coding.grid")
        if tight is not None:
            grid, most = tight
            demanded = (
                f"is too many: of weights of {grid.bits} bits (grid {grid}) 0 to {most} planes can be squeezed out"
            )
            yield self.refuse(demanded, field="squeeze", bound="coding.grid")

    @property
    def needs_weights(self) -> tuple[str, ...]:
        """The settings that go by the values of weights; the stage where the weights are recoded."""
        paths = tuple(f"coding.{name}" for name in ("per_channel", "symmetric") if getattr(self, name))
        return (*paths, *super().needs_weights)

    def quantised(self, subject: Sampled, bits: str | Budget, chip: Chip) -> QuantisedNetwork:
        """Return the network in codes, activations calibrated on the samples where there are any.

        Where the chip drives inputs with a sign, codes of those that may be negative have 0 in the middle.
        """
        samples = subject.calibration
        inputs = None if samples is None else samples.inputs
        codes = quantise(
            subject.net, inputs, per_channel=self.per_channel, symmetric=self.symmetric, bits=bits,
            signed_inputs=chip.array.drives_signs, requantise=multiplier_bits(self.requantise),
        )  # fmt: skip
        if samples is None:
            return codes
        return replace(codes, notes=(*codes.notes, f"activations calibrated on {samples.origin}"))

    def recoded(
        self, quantised: QuantisedNetwork, samples: Samples | None, grid: str, squeeze: int, rounding: str
    ) -> QuantisedNetwork:
        """Return the network on a grid, or in planes."""
        by_samples = rounding != "nearest"
        try:
            return recode(
                quantised,
                form(grid),
                method=rounding,
                samples=samples.inputs if samples is not None and by_samples else None,
                # Planes have no other scales than one an output.
                per_channel=self.per_channel or isinstance(form(grid), Planes),
                squeeze=squeeze,
            )
        except NumberError as error:
            raise NumberError(f"grid {grid}: {error}") from None


@choice("coding", "bytes", papers=("aras",))
class Bytes(_Quantising):
    """Affine codes, of 8 bits if not told otherwise; codes that a network has already stay as they are."""

    per_channel: bool = setting(default=False, help=_PER_CHANNEL)
    symmetric: bool = setting(default=False, help=_SYMMETRIC)
    bits: str = setting(
        default="8", help=_BITS, metavar="BITS", examples=_BITS_EXAMPLES, check=asked, commas=True, later=True
    )
    requantise: str = setting(
        default=FLOAT, help=_REQUANTISE, metavar="BITS", examples=(FLOAT, "24"), check=multiplier_bits, later=True
    )

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse bits for a network that is coded otherwise already."""
        yield from super().refusals(subject, chip, strategy)
        codes = subject.quantised
        if codes is not None and codes.coding != self and self.wanted != type(self).bits:
            demanded = f"makes codes, but {subject.net.name} is coded already"
            yield self.refuse(demanded, field="bits", helps="give the network itself, with its samples in a Sampled")

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Return the quantised network."""
        return self.quantised(subject, self.bits, chip)


@choice("coding", "grid", weighted=True, by="grid")
class OnGrid(_Quantising):
    """Weights rounded to few magnitudes or few bit planes."""

    per_channel: bool = setting(default=False, help=_PER_CHANNEL)
    grid: str = setting(default="window:8:3", help=_GRID, metavar="GRID,...", examples=_FORMS, check=form)
    rounding: str = setting(default="nearest", among=METHODS, help=_ROUNDING)
    squeeze: int = setting(default=0, least=0, most=6, help=_SQUEEZE, metavar="X,...")
    bits: str = setting(
        default="8", help=_BITS, metavar="BITS", examples=_BITS_EXAMPLES[:1], check=asked, commas=True, later=True
    )
    requantise: str = setting(
        default=FLOAT, help=_REQUANTISE, metavar="BITS", examples=(FLOAT, "24"), check=multiplier_bits, later=True
    )

    @property
    def by_samples(self) -> bool:
        """True if weights are rounded by calibration samples."""
        return self.rounding != "nearest"

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Quantise, then round to the grid."""
        return self.recoded(
            self.quantised(subject, self.bits, chip), subject.calibration, self.grid, self.squeeze, self.rounding
        )

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse planes that cannot be squeezed out, and rounding by samples that are not there."""
        yield from super().refusals(subject, chip, strategy)
        yield from self._too_tight((self.squeeze,))
        if self.by_samples and subject.quantised is None and subject.calibration is None:
            yield self.refuse("goes by calibration samples", field="rounding", helps=_GIVE)


@choice("coding", "budget", weighted=True, by="budget")
class UnderBudget(_Quantising):
    """For each layer the coding, or the bits, of least cost, of several, whose errors sum to at most a budget."""

    per_channel: bool = setting(default=False, help=_PER_CHANNEL)
    symmetric: bool = setting(default=False, help=_SYMMETRIC)
    grid: tuple[str, ...] = setting(default=(), help=_GRID, examples=(_FORMS[:2],), check=_forms, empty=True)
    rounding: str = setting(default="nearest", among=METHODS, help=_ROUNDING)
    squeeze: tuple[int, ...] = setting(default=(0,), least=0, most=6, help=_SQUEEZE, check=_once)
    budget: float = setting(default=0.01, least=0, most=10_000, help=_BUDGET, metavar="E")
    bits: tuple[str, ...] = setting(
        default=("8",), help=_BITS, metavar="BITS", examples=(("8",), ("8/5",)), check=_several, later=True
    )

    def __post_init__(self) -> None:
        """Refuse values out of range, and nothing to choose from."""
        super().__post_init__()
        if not self.grid and not self.of_bits:
            raise self.refuse(
                "is missing", field="grid", bound="coding.bits", helps="`budget` needs it, or several `bits`"
            )

    @property
    def of_bits(self) -> bool:
        """True if bits are chosen, not grids."""
        return len(self.bits) > 1

    @property
    def wanted(self) -> str:
        """The bits that are asked of layers that are put on grids."""
        return str(BYTES) if self.of_bits else self.bits[0]

    @property
    def by_samples(self) -> bool:
        """True: codings are always chosen by calibration samples."""
        return True

    def codings(self) -> tuple[tuple[str, int], ...]:
        """Return every grid with every number of planes squeezed out; planes with none."""
        return tuple(
            (grid, top) for grid in self.grid for top in ((0,) if isinstance(form(grid), Planes) else self.squeeze)
        )

    def coded(self, subject: Sampled, chip: Chip, mapper: Mapper, say: Say) -> QuantisedNetwork:
        """Quantise, round to every coding, measure what each layer costs in each, and choose."""
        samples = subject.calibration
        assert samples is not None
        if self.of_bits:
            budget = Budget(
                self.budget, self.bits, self.rounding, partial(_work, chip), lambda text: say(f"measuring {text}")
            )
            return self.quantised(subject, budget, chip)
        quantised = self.quantised(subject, self.wanted, chip)
        codings = {UNCHANGED: quantised}
        for grid, top in self.codings():
            name = f"{grid} squeezed by {top}" if top else grid
            say(f"recoding to {name}")
            codings[name] = self.recoded(quantised, samples, grid, top, self.rounding)
        chosen = _within(self.budget, codings, samples, chip, mapper, say)
        how = f"layers not in {UNCHANGED} are recoded, {SAID[self.rounding]}, scale fitted"
        return replace(chosen, notes=(*chosen.notes, how))

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a mapping for which all codings are alike, planes that cannot be squeezed out, and samples that are not there."""
        yield from super().refusals(subject, chip, strategy)
        if self.of_bits and (self.grid or self.squeeze != (0,)):
            demanded = "takes one; a budget chooses the codings of layers, or their bits, not both"
            yield self.refuse(demanded, field="bits", bound="coding.grid", helps="leave `grid` and `squeeze` out")
        if self.of_bits and self.symmetric and 1 in Budget(0.0, self.bits).of_weights:
            yield self.refuse(
                "has weights of 1 bit, whose codes have no middle", field="bits", bound="coding.symmetric"
            )
        yield from self._too_tight(self.squeeze)
        if not self.of_bits and not isinstance(strategy.mapping, Squeezed):
            yield self.refuse(
                f"is for `mapping` squeezed; with mapping {strategy.mapping.name!r} all codings take the same arrays",
                field="budget",
                bound="mapping",
            )
        if subject.quantised is None and subject.calibration is None:
            yield self.refuse("goes by calibration samples", field="budget", helps=_GIVE)


def _work(chip: Chip, bits: LayerBits) -> int:
    """Return the cells of a weight, times the steps in which an input is streamed."""
    return replace(chip.coding, weight_bits=bits.weights).cells * -(-bits.inputs // chip.array.dac_bits)


def _within(
    budget: float, codings: Mapping[str, QuantisedNetwork], samples: Samples, chip: Chip, mapper: Mapper, say: Say
) -> QuantisedNetwork:
    """Return the network with the coding of fewest arrays in each layer, of errors that sum to at most `budget`.

    `codings` by name; errors are measured against the first, on some of the samples. Notes tell how many layers have which coding,
    the arrays and the error.
    """
    assert isinstance(mapper, Squeezed)
    listed = list(codings.values())
    seen = samples.spread(seen_samples(listed[0].network))
    table = frontier(
        listed,
        chip,
        seen.inputs,
        packing=mapper.packing,
        turns=mapper.turns,
        progress=lambda text: say(f"measuring codings: {text}"),
    )
    picks = table.within(budget)
    chosen = mixed(listed, picks, names=list(codings))
    arrays, error = table.total(picks)
    together = changed(*(first_output(coded, seen.inputs) for coded in (listed[0], chosen)))
    note = (
        f"{arrays} arrays in these codings, {int(table.costs[:, 0].sum())} with all layers in {next(iter(codings))}; errors "
        f"of layers, each alone, sum to {error:.3g} of the output's variance (budget {budget:g}), that of all together is "
        f"{together:.3g}, measured on {seen.origin}"
    )
    return replace(chosen, notes=(*chosen.notes, note))
