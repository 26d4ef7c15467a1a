"""How weights become codes, as the options name it; one group for all commands that compile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from mho.cli import options as use
from mho.cli.registries import NAMES, check_strategies
from mho.errors import NumberError, OptionError

if TYPE_CHECKING:
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import Grid, QuantisedNetwork

OUTPUT = "output"
"""The rounding that goes by calibration samples."""

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
        metavar="GRID",
        rich_help_panel=use.WEIGHTS,
        help="Round weights, as sign and magnitude, to few magnitudes: window:8:3 (8 bits, set ones within 3 places in a row), "
        "uniform:5, power-of-two:8, or additive-power-of-two:8:2 (sums of 2). Changes what is computed: see mho verify "
        "--accuracy.",
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
    int | None,
    typer.Option(
        "--squeeze",
        parser=use.whole(0),
        metavar="X",
        rich_help_panel=use.WEIGHTS,
        help="Keep the X top bits of magnitudes empty (X up to 2 less than the bits of --grid): rows that reach into them lose low "
        "bits and are stored shifted. Saves arrays with --mapping squeezed.",
    ),
]


@dataclass(frozen=True)
class WeightOptions:
    """How weights become codes: their scales, and the grid that they are rounded to."""

    per_channel: PerChannel = False
    grid: GridName = None
    rounding: Rounding = None
    squeeze: SqueezedPlanes = None

    @property
    def by_output(self) -> bool:
        """Whether weights are rounded by calibration samples."""
        return self.rounding == OUTPUT

    def of_weights(self) -> tuple[str, ...]:
        """Name the options that go by the values of weights."""
        asked = {"--per-channel": self.per_channel, "--grid": self.grid is not None}
        return tuple(option for option, wanted in asked.items() if wanted)

    def check(self, *, samples: str | None = None) -> None:
        """Refuse what does not exist or changes nothing, and rounding by samples where there are none.

        `samples` names the options that would give them, None where they are given.
        """
        check_strategies(rounding=self.rounding)
        if self.grid is None:
            for option, given in (("--rounding", self.rounding), ("--squeeze", self.squeeze)):
                if given is not None:
                    raise OptionError(f"{option} is for weights on a grid; give one with --grid, such as window:8:3")
            return
        grid = self._grid()
        if self.squeeze is not None and self.squeeze > grid.bits - 2:
            raise OptionError(
                f"--squeeze {self.squeeze}: of weights of {grid.bits} bits (--grid {grid}) 0 to {grid.bits - 2} planes can be "
                "squeezed out"
            )
        if self.by_output and samples is not None:
            raise OptionError(f"--rounding {OUTPUT} goes by calibration samples; give them with {samples}")

    def coded(self, network: Network, samples: Samples | None, *, symmetric: bool = False) -> QuantisedNetwork:
        """Quantise, with activations calibrated on samples where there are any, and round to the grid.

        A note says which samples. `samples` must be there for rounding by output.
        """
        import mho

        inputs = None if samples is None else samples.inputs
        quantised = mho.quantise(network, inputs, per_channel=self.per_channel, symmetric=symmetric)
        if samples is not None:
            quantised = replace(quantised, notes=(*quantised.notes, f"activations calibrated on {samples.origin}"))
        if self.grid is None:
            return quantised
        try:
            return mho.recode(
                quantised,
                self._grid(),
                method=self.rounding or "nearest",
                samples=inputs if self.by_output else None,
                per_channel=self.per_channel,
                squeeze=self.squeeze or 0,
            )
        except NumberError as error:
            raise NumberError(f"--grid {self.grid}: {error}") from None

    def _grid(self) -> Grid:
        from mho.number import Grid

        try:
            return Grid.parse(self.grid or "")
        except OptionError as error:
            raise OptionError(f"--grid: {error}") from None


def needs_weights(weights: str | None, *groups: tuple[str, ...]) -> bool:
    """Whether any option goes by the values of weights; refuse that where --weights none asks for none."""
    asked = [option for group in groups for option in group]
    if asked and weights == "none":
        needs = "need" if len(asked) > 1 else "needs"
        raise OptionError(
            f"--weights none gives shapes alone; {' and '.join(asked)} {needs} weights: give seeded or a file"
        )
    return bool(asked)
