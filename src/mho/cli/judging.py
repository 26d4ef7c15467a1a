"""The options that accuracy and sweep share: the analog side, the chips that are drawn, the samples that judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from mho.cli import analog as side
from mho.cli import options as use
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.outputs import PROGRAM_SUFFIX

if TYPE_CHECKING:
    from mho.cli.strategy import StrategyOptions


@dataclass(frozen=True)
class JudgeOptions:
    """What executes a model, and what it is judged on."""

    data: side.LabelledData = None
    analog: side.AnalogFile = None
    settings: side.Settings = None
    seeds: side.Seeds = 5
    backend: side.Backend = "compiled"
    samples: side.SampleCount = None
    calibration: side.CalibrationToo = None
    key: use.Key = None
    chip: use.ChipName = "aras"

    def asked(
        self, context: typer.Context, model: str, reading: ModelOptions, options: StrategyOptions
    ) -> tuple[side.Asked, Mapping[str, Any]]:
        """Return what is compiled and judged, and the changes of the analog side."""
        chip_changes, changes = side.read_settings(self.settings)
        files = SampleOptions(self.data, self.calibration, self.key)
        # A program brings its strategy: options of one are refused as such, not for what they say.
        strategy = (
            replace(options, given={}).strategy() if model.lower().endswith(PROGRAM_SUFFIX) else options.strategy()
        )
        return side.Asked(context, model, self.chip, chip_changes, reading, strategy, files, self.samples), changes

    def how(self, prepared: side.Prepared, follow: side.Follow, kept: Any) -> dict[str, Any]:
        """Return the arguments that evaluate, find and sweep share."""
        return {
            "seeds": self.seeds,
            "calibration": prepared.measured,
            "progress": follow,
            "done": kept,
            "backend": self.backend,
        }
