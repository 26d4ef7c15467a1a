"""mho autorac: a recommender's model, the bits of its operators and its chip searched together, on a log of clicks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.analog import following
from mho.cli.outputs import Target
from mho.cli.train import ClickReading
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.cli.outputs import Say
    from mho.explore.autorac.outcome import Autorac
    from mho.explore.autorac.space import JointSpace
    from mho.network.clicks import Clicks
    from mho.training.clicks import Settings

EPILOG = (
    "mho autorac census_income.npz --out out/census\n\n"
    "mho autorac log.csv --label clicked --blocks 4 --widths 16,32,64 --tries 24 --out out/clicks\n\n"
    "mho autorac day_0.gz --form criteo --trained 10 --seeds 3 --workers 4 --out out/criteo\n\n"
    "mho autorac census_income.npz --size"
)

USUAL = {"widths": (16, 32, 64, 128, 256), "counts": (8, 16, 32), "weight_bits": (2, 4, 8), "input_bits": (4, 8)}
"""What operators may have where nothing else is asked for."""


DROPS = (0.0, 0.1)
"""Shares of looked-up numbers that are left out: models of few weights lose by it, those of many gain."""


@dataclass(frozen=True)
class ModelSpaceOptions:
    """The options that say which models there are."""

    blocks: int = 7
    widths: Any = None
    counts: Any = None
    weight_bits: Any = None
    input_bits: Any = None

    def read(self) -> JointSpace:
        """Return the space."""
        from mho.explore.autorac.space import JointSpace
        from mho.network.zoo.interaction.space import ModelSpace

        sizes: dict[str, Any] = {name: getattr(self, name) or usual for name, usual in USUAL.items()}
        return JointSpace(ModelSpace(blocks=self.blocks, alone=True, **sizes))


@dataclass(frozen=True)
class AutoracSearch:
    """The options that say how long is searched, and how models are trained."""

    budget: int = 2000
    score: str | None = None
    tries: int | None = None
    steps: int | None = None
    trained: int = 6
    seeds: int = 1
    tolerance: float | None = None
    published: str = "criteo-full,avazu-full,kdd-full"
    hand_made: str = "fm,deepfm,dlrm,dcnv2"
    sides: bool = False
    epochs: int | None = None
    dimension: int | None = None
    rate: float | None = None
    decay: float | None = None
    drop: Any = None
    patience: int | None = None
    device: str = "taox"
    seed: int = 0
    behind: int | None = None
    workers: int = 1
    ray: str | None = None

    def settings(self) -> list[Settings]:
        """Return how designs and baselines are trained, for each share that is dropped."""
        from mho.training.clicks import Settings

        names = ("epochs", "dimension", "rate", "decay", "patience", "seed")
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        usual = Settings(**{name: value for name, value in given.items() if value is not None})
        return [replace(usual, drop=drop) for drop in self.drop or DROPS]

    def check_none(self) -> None:
        """Refuse options of a search where nothing is searched. OptionError."""
        for option in fields(self):
            if getattr(self, option.name) != option.default:
                name = option.name.replace("_", "-")
                raise OptionError(f"--size tells the size of the space, which --{name} does not change; leave it away")

    def given(self) -> dict[str, Any]:
        """Return what autorac takes of them."""
        from mho.explore.walk import BEHIND

        if self.ray is not None and self.workers > 1:
            raise OptionError("--ray says where the workers are, and --workers how many there are here; one of them")
        behind = self.behind or BEHIND
        if self.workers > behind:
            raise OptionError(
                f"--workers {self.workers}: at most {behind} designs are under way; --behind {self.workers} lets as many be, of "
                "which the search then learns later"
            )
        workers: Any = self.workers
        if self.ray is not None:
            from mho.explore.cluster import Ray

            workers = Ray(self.ray)
        return {
            "budget": self.budget,
            "tries": self.tries,
            "steps": self.steps,
            **({} if self.score is None else {"score": self.score}),
            **({} if self.tolerance is None else {"tolerance": self.tolerance}),
            "trained": self.trained,
            "seeds": self.seeds,
            "sides": self.sides,
            "published": _names(self.published),
            "hand_made": _names(self.hand_made),
            "device": self.device,
            "seed": self.seed,
            "behind": behind,
            "workers": workers,
        }


def autorac(
    data: Path,
    *,
    reading: ClickReading,
    chip: str = "isaac",
    space: ModelSpaceOptions,
    search: AutoracSearch,
    size: bool = False,
    rtl: bool = False,
    out: Path | None = None,
    target: Target,
) -> None:
    """Search recommender, bits and chip together on a log of clicks: designs that none beats in log loss, time, energy and area.

    An evolution searches by what training a little tells or foresees of models, and by closed formulas of chips;
    designs of the front and baselines are trained, judged by their integers and measured. Interrupted, the next call goes on.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    joint = space.read()
    if size:
        search.check_none()
        if out is not None or rtl:
            raise OptionError("--size tells the size of the space and writes nothing; leave --out and --rtl away")
        _tell_size(joint)
        return
    how = search.given()
    if out is None:
        raise OptionError("--out FOLDER says where everything is kept")
    target.check(out=out)

    from mho.explore.autorac.run import autorac as search_all
    from mho.explore.autorac.task import KEPT
    from mho.network.clicks import Clicks
    from mho.report.views import save

    with following(quiet=target.quiet, keeping=out / KEPT) as follow:
        follow.say(f"reading {data}")
        clicks = Clicks.load(data, **reading.given())
        found = search_all(clicks, out, chip, space=joint, settings=search.settings(), progress=follow, **how)
        save(found, out)
        if rtl:
            _write_logic(found, clicks, out, follow.say)
    target.deliver(found, "designs", f"\nwritten to {out / 'autorac.html'}, autorac.json, autorac.svg and designs/")


def _write_logic(found: Autorac, clicks: Clicks, out: Path, say: Say) -> None:
    """Write the Verilog of each searched design that was trained beside its weights, run against what its program computes."""
    from mho.chip import Chip
    from mho.explore.autorac.execute import Machine, vectors
    from mho.explore.autorac.outcome import SEARCHED
    from mho.explore.autorac.task import DESIGNS, FILE
    from mho.files.writing import save_files
    from mho.machine.recommender.files import load
    from mho.rtl.designs import design_files
    from mho.strategy import Strategy

    for design in found.content["designs"]:
        if design["kind"] == SEARCHED:
            folder = out / DESIGNS / design["name"]
            say(f"writing Verilog of {design['name']}")
            recommender = load(folder / FILE)
            of_strategy = {key: value for key, value in design["values"].items() if key in ("schedule", "conversion")}
            _, report = Machine(Chip.load(folder / "chip.yaml"), Strategy(), of_strategy).measured(recommender)
            save_files(design_files(report.program, vectors(recommender, clicks.valid, 1)), folder)


def _names(text: str) -> tuple[str, ...]:
    """Return names between commas; none for "none"."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def _tell_size(joint: JointSpace) -> None:
    """Print the size of the space, with its formulas."""
    from mho.report.console import terminal

    console = terminal(highlight=False)
    said = {
        "raw": "numbers that genes can take, dead ones too",
        "options": "models by the options that their operators have",
        "different": "designs of which no two are the same, or more",
    }
    for name, each in joint.counts().items():
        console.print(f"10^{each.exponent:.2f} {said[name]}: {each.formula}", markup=False, soft_wrap=True)


__all__ = ["EPILOG", "autorac"]
