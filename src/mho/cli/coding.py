"""How weights become codes, as the options name it; one group for all commands that compile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import options as use
from mho.cli.registries import NAMES, check_strategies
from mho.cli.strategy import SQUEEZED
from mho.errors import NumberError, OptionError

if TYPE_CHECKING:
    from mho.cli.choice import Choice
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork
    from mho.number.recode import Form

BY_SAMPLES = ("output", "sequence")
"""The roundings that go by calibration samples."""
UNCHANGED = "8 bits"
"""The first coding that layers choose from under a budget: the network as it is quantised."""

PerChannel = Annotated[
    bool,
    typer.Option(
        "--per-channel",
        rich_help_panel=use.WEIGHTS,
        help="One weight scale for each output channel instead of one a tensor.",
    ),
]
GridName = Annotated[
    str | None,
    typer.Option(
        "--grid",
        metavar="GRID,...",
        rich_help_panel=use.WEIGHTS,
        help="Round weights, as sign and magnitude, to few magnitudes: window:8:3 (8 bits, set ones within 3 places in a row), "
        "uniform:5, power-of-two:8, or additive-power-of-two:8:2 (sums of 2); or to levels in few bit planes, planes:2.5 (on "
        "average, scales one an output). Changes what is computed: see mho verify --accuracy. Several only with --budget.",
    ),
]
Rounding = Annotated[
    str | None,
    typer.Option(
        "--rounding",
        metavar="NAME",
        rich_help_panel=use.WEIGHTS,
        help="How weights meet --grid: to the nearest magnitude, or for the least error of a layer's output on the "
        f"calibration samples; one of: {NAMES}. Else nearest.",
    ),
]
SqueezedPlanes = Annotated[
    Any,
    typer.Option(
        "--squeeze",
        parser=use.wholes(0),
        metavar="X,...",
        rich_help_panel=use.WEIGHTS,
        help="Keep the X top bits of magnitudes empty (X up to 2 less than the bits of --grid): rows that reach into them lose low "
        "bits and are stored shifted. Saves arrays with --mapping squeezed. Several only with --budget.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        parser=use.effort,
        metavar="E",
        rich_help_panel=use.WEIGHTS,
        help="Give each layer, of 8 bits and every --grid with every --squeeze, the coding of fewest arrays whose errors sum to at "
        "most E: squared error of the network's output over its variance, of each layer alone, on calibration samples. For "
        "--mapping squeezed.",
    ),
]


@dataclass(frozen=True)
class WeightOptions:
    """How weights become codes: their scales, the grid that they are rounded to, or grids that layers choose from."""

    per_channel: PerChannel = False
    grid: GridName = None
    rounding: Rounding = None
    squeeze: SqueezedPlanes = None
    budget: Budget = None

    @property
    def by_samples(self) -> bool:
        """Whether weights are rounded, or their codings chosen, by calibration samples."""
        return self.rounding in BY_SAMPLES or self.budget is not None

    def of_weights(self) -> tuple[str, ...]:
        """Name the options that go by the values of weights."""
        asked = {"--per-channel": self.per_channel, "--grid": self.grid is not None}
        return tuple(option for option, wanted in asked.items() if wanted)

    def check(self, *, mapping: str, samples: str | None = None) -> None:
        """Refuse what does not exist, contradicts itself or changes nothing, and what goes by samples where there are none.

        `samples` names the options that would give them, None where they are given.
        """
        check_strategies(rounding=self.rounding)
        if self.grid is None:
            for option, given in (
                ("--rounding", self.rounding),
                ("--squeeze", self.squeeze),
                ("--budget", self.budget),
            ):
                if given is not None:
                    raise OptionError(f"{option} is for weights on a grid; give one with --grid, such as window:8:3")
            return
        codings = self._codings()
        if self.budget is None and len(codings) > 1:
            several = "--grid" if "," in self.grid else "--squeeze"
            raise OptionError(
                f"{several} names several, from which layers choose under an error budget; give one with --budget, such as 0.01"
            )
        if self.budget is not None and mapping != SQUEEZED:
            raise OptionError(
                f"--budget is for --mapping {SQUEEZED}; with --mapping {mapping} all codings take the same arrays"
            )
        if samples is None:
            return
        if self.budget is not None:
            raise OptionError(f"--budget goes by calibration samples; give them with {samples}")
        if self.by_samples:
            raise OptionError(f"--rounding {self.rounding} goes by calibration samples; give them with {samples}")

    def coded(
        self, network: Network, samples: Samples | None, *, symmetric: bool = False, choice: Choice | None = None
    ) -> QuantisedNetwork:
        """Quantise, with activations calibrated on samples where there are any, and round to the grid.

        A note says which samples. `samples` must be there for what goes by them, `choice` for a budget.
        """
        import mho
        from mho.number.recode import SAID

        inputs = None if samples is None else samples.inputs
        quantised = mho.number.quantise(network, inputs, per_channel=self.per_channel, symmetric=symmetric)
        if samples is not None:
            quantised = replace(quantised, notes=(*quantised.notes, f"activations calibrated on {samples.origin}"))
        if self.grid is None:
            return quantised
        if self.budget is None:
            return self._recoded(quantised, samples, *self._codings()[0])
        assert choice is not None and samples is not None
        codings = {UNCHANGED: quantised}
        for form, top in self._codings():
            name = f"{form} squeezed by {top}" if top else str(form)
            choice.say(f"recoding to {name}")
            codings[name] = self._recoded(quantised, samples, form, top)
        found = choice.within(self.budget, codings, samples)
        how = f"layers not in {UNCHANGED} are recoded, {SAID[self.rounding or 'nearest']}, scale fitted"
        return replace(found, notes=(*found.notes, how))

    def _recoded(self, quantised: QuantisedNetwork, samples: Samples | None, form: Form, top: int) -> QuantisedNetwork:
        import mho
        from mho.number import Planes

        try:
            return mho.number.recode(
                quantised,
                form,
                method=self.rounding or "nearest",
                samples=samples.inputs if samples is not None and self.rounding in BY_SAMPLES else None,
                # Planes have no other scales than one an output.
                per_channel=self.per_channel or isinstance(form, Planes),
                squeeze=top,
            )
        except NumberError as error:
            raise NumberError(f"--grid {form}: {error}") from None

    def _codings(self) -> tuple[tuple[Form, int], ...]:
        """Every grid with every number of planes squeezed out; planes with none. OptionError for one that cannot be."""
        from mho.number import Grid

        forms = self._forms()
        tops: tuple[int, ...] = (0,) if self.squeeze is None else self.squeeze
        _check_twice("--squeeze", tops)
        grids = [form for form in forms if isinstance(form, Grid)]
        if self.squeeze is not None and not grids:
            raise OptionError(
                f"--squeeze is for grids; weights of --grid {forms[0]} take as many planes as they are given"
            )
        for grid in grids:
            for top in tops:
                if top > grid.bits - 2:
                    raise OptionError(
                        f"--squeeze {top}: of weights of {grid.bits} bits (--grid {grid}) 0 to {grid.bits - 2} planes can be "
                        "squeezed out"
                    )
        return tuple((form, top) for form in forms for top in (tops if isinstance(form, Grid) else (0,)))

    def _forms(self) -> tuple[Form, ...]:
        from mho.number.recode import form

        try:
            found = tuple(form(text.strip()) for text in (self.grid or "").split(","))
        except OptionError as error:
            raise OptionError(f"--grid: {error}") from None
        _check_twice("--grid", map(str, found))
        return found


def _check_twice(option: str, given: Iterable[object]) -> None:
    """Refuse what is named twice."""
    seen: set[object] = set()
    for each in given:
        if each in seen:
            raise OptionError(f"{option} names {each} twice")
        seen.add(each)


def needs_weights(weights: str | None, *groups: tuple[str, ...]) -> bool:
    """Whether any option goes by the values of weights; refuse that where --weights none asks for none."""
    asked = [option for group in groups for option in group]
    if asked and weights == "none":
        needs = "need" if len(asked) > 1 else "needs"
        raise OptionError(
            f"--weights none gives shapes alone; {' and '.join(asked)} {needs} weights: give seeded or a file"
        )
    return bool(asked)
