"""mho train: a recommender trained on a log of clicks, and what it is worth in real numbers and in the integers of a chip."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.command import InterruptedWorkError
from mho.cli.outputs import Say, Target, progress
from mho.errors import OptionError, OutputError, choices

if TYPE_CHECKING:
    from mho.network.clicks import Clicks
    from mho.network.zoo.interaction import Model
    from mho.training.clicks import Settings, Training

EPILOG = (
    "mho train census_income.npz --model deepfm --save deepfm.safetensors\n\n"
    "mho train log.csv --label clicked --numeric age,price --model dlrm --bits 4/8\n\n"
    "mho train day_0.gz --form criteo --model dcnv2 --set hidden=256,128 --save dcn.safetensors\n\n"
    "mho train day_0.gz --form criteo --resume --save dcn.safetensors\n\n"
    "mho train log.parquet --model dlrm --save dlrm.safetensors --look-ups test.npz; "
    "mho run dlrm --trace test.npz --weights dlrm.safetensors"
)
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ClickReading:
    """The options that say how a log is read; None: as where the option is not given."""

    form: str | None = None
    label: str | None = None
    field: str | None = None
    numeric: str | None = None
    ignore: list[str] | None = None
    fold: str | None = None
    fold_seed: int | None = None
    buckets: int | None = None
    least: int | None = None
    separator: str | None = None
    header: bool | None = None

    def given(self) -> dict[str, Any]:
        """Return what was given, as `Clicks.load` takes it."""
        names = {"ignore": "ignored", "fold_seed": "seed"}
        return {names.get(option.name, option.name): getattr(self, option.name) for option in fields(self)}


@dataclass(frozen=True)
class TrainOptions:
    """The options that say what is trained, and how; None: as the settings have it."""

    model: str | None = None
    sizes: list[str] | None = None
    bits: str | None = None
    epochs: int | None = None
    batch: int | None = None
    dimension: int | None = None
    rate: float | None = None
    decay: float | None = None
    drop: float | None = None
    patience: int | None = None
    seed: int | None = None

    def settings(self) -> Settings:
        """Return the settings."""
        from mho.training.clicks import Settings

        names = [option.name for option in fields(self) if option.name not in ("model", "sizes")]
        chosen = {name: getattr(self, name) for name in names}
        return Settings(**{name: value for name, value in chosen.items() if value is not None})

    def of_model(self) -> Model:
        """Return the model that is asked for. OptionError for one that there is not, and for sizes that it does not have."""
        from mho.network.zoo.interaction import MODELS, of

        if self.model is None:
            raise OptionError(f"--model is needed; {choices('', MODELS)}")
        if self.model.endswith(".json"):
            from mho.files.text import parse_json, read_text

            if self.sizes:
                raise OptionError(f"--set is for a model by its name; {self.model} says its sizes itself")
            return of(parse_json(read_text(Path(self.model), OptionError)))
        if self.model not in MODELS:
            raise OptionError(f"unknown model {self.model!r}; {choices(self.model, MODELS)}; or the .json file of one")
        kind = MODELS[self.model]
        try:
            usual = kind().record()
        except TypeError:
            raise OptionError(f"--model {self.model} needs a description: give the .json file of one") from None
        return of({**usual, **dict(_size(text, usual) for text in self.sizes or ())})


def _size(text: str, usual: Mapping[str, Any]) -> tuple[str, Any]:
    """Read KEY=VALUE, a whole number or several with commas between, as the model has it."""
    key, equals, value = text.partition("=")
    known = sorted(name for name in usual if name != "model")
    if not equals or key not in known:
        raise OptionError(
            f"--set {text}: it is KEY=VALUE; {choices(key, known) if known else 'this model has no sizes'}"
        )
    if value in ("true", "false"):
        return key, value == "true"
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        raise OptionError(f"--set {text}: {value!r} is no whole number, and no list of them (128,64)") from None
    return key, numbers if isinstance(usual[key], list) else numbers[0] if len(numbers) == 1 else numbers


def train(
    data: Path,
    *,
    reading: ClickReading,
    training: TrainOptions,
    save: Path | None = None,
    resume: bool = False,
    look_ups: Path | None = None,
    target: Target,
) -> None:
    """Train a recommender on a log of clicks, and tell what it is worth: log loss and AUC, in real numbers and in integers.

    Values become rows of tables, and epochs are chosen, without a look at the records of fold test, which judge once at the end.
    With --save each epoch is kept: interrupted, the same command with --resume goes on to the same numbers. The file is a whole
    recommender, for mho run --trace.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    _check(training, save, resume, look_ups)
    target.check()
    from mho.network.clicks import Clicks

    chosen = None if resume else (training.of_model(), training.settings())
    with progress(target.quiet) as say:
        say(f"reading {data}")
        clicks = Clicks.load(data, **reading.given())
        work = _begun(clicks, chosen, save, training.epochs)
        outcome = _trained(work, save, say, data)
        if look_ups is not None:
            clicks.trace("test").save(look_ups)
    if target.emit(outcome.to_dict(), lambda: outcome.frame("worth")):
        return
    from mho.report.console import terminal

    console = terminal(highlight=False)
    console.print(str(outcome), markup=False, soft_wrap=True)
    for what, path in (("kept in", save), ("look-ups of fold test in", look_ups)):
        if path is not None:
            console.print(f"{what} {path}", markup=False, soft_wrap=True)


def _check(training: TrainOptions, save: Path | None, resume: bool, look_ups: Path | None) -> None:
    """Refuse what does not go together, and files that cannot be written."""
    from mho.files.writing import check_file
    from mho.network.trace.trace import check_save

    if resume and save is None:
        raise OptionError("--resume goes on with the file of --save; give it")
    for each in fields(training) if resume else ():
        if each.name != "epochs" and getattr(training, each.name) not in (None, []):
            written = "--set" if each.name == "sizes" else f"--{each.name}"
            raise OptionError(f"{written} is in the file that --resume goes on with; only --epochs may change")
    if save is not None and save.suffix != SUFFIX:
        raise OptionError(f"--save {save}: the name of a trained recommender ends in {SUFFIX}")
    for option, path, check in (("--save", save, check_file), ("--look-ups", look_ups, check_save)):
        try:
            if path is not None:
                check(path)
        except OutputError as error:
            raise OutputError(f"{option} {error}") from None


def _begun(clicks: Clicks, chosen: tuple[Model, Settings] | None, save: Path | None, epochs: int | None) -> Training:
    """Begin a training, or read the one that is to go on."""
    from mho.training.clicks import Training

    if chosen is not None:
        return Training(clicks, *chosen)
    assert save is not None
    work: Training = Training.resume(clicks, save, epochs)
    return work


def _trained(work: Training, save: Path | None, say: Say, data: Path) -> Any:
    """Train to the end, keeping each epoch, and judge."""
    from mho.training.clicks import Outcome

    start, before = time.process_time(), work.done
    say(f"epoch {before + 1} of at most {work.epochs}")

    def told(done: int, loss: float) -> None:
        if save is not None:
            work.save(save)
        say(
            f"epoch {done} of at most {work.epochs}: log loss {loss:.4f}, valid {work.valid[-1]:.4f} "
            f"(best {min(work.valid):.4f}, epoch {work.best_epoch})"
        )

    try:
        work.run(told)
    except KeyboardInterrupt:
        if save is None or not work.done:
            raise
        raise InterruptedWorkError(
            f"{work.done} epochs are kept; go on with mho train {data} --resume --save {save}"
        ) from None
    seconds = time.process_time() - start
    say("judging")
    return Outcome.of(work, seconds)


__all__ = ["EPILOG", "train"]
