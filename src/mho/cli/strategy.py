"""The options that say how to compile: derived from the stages of a strategy and the settings of their choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli.command import Command
from mho.cli.options import MODEL
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.program import Program
    from mho.strategy import Choice, Setting, Strategy

WEIGHTS, STRATEGY, TABLES = "Weights", "Mapping and schedule", "Tables"
GIVEN = "mho.strategy"
"""Where the context of a command keeps the options of its strategy."""
OWN = ("schedule.seed", "alignment.centre")
"""Settings that have no option of their own: --seed is for all that is drawn, and a centre stands for the choice."""
NAMES = "{names}"
"""Where the help of an option names what is accepted."""


@dataclass(frozen=True)
class StrategyOptions:
    """The options that say how to compile: a preset or file to start from, and changes by stage, or stage and setting."""

    base: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    def strategy(self, usual: str | None = None) -> Strategy:
        """Return the strategy; `usual` is the preset where none is named. StrategyError names the field."""
        from mho.strategy import Strategy

        return Strategy.of(self.base or usual).with_(self.given)

    def as_stream(self) -> StrategyOptions:
        """Return them with schedule stream, which --stream stands for. OptionError beside another schedule."""
        named = self.given.get("schedule", "stream")
        if named != "stream":
            raise OptionError(f"--stream is --schedule stream, and --schedule {named} is another; give one of the two")
        return replace(self, given={**self.given, "schedule": "stream"})

    def in_rounds(self, batch: int) -> StrategyOptions:
        """Return them with rounds of a stream, which --batch stands for beside one. OptionError beside --round."""
        if "schedule.batch" in self.given:
            raise OptionError("--batch beside a stream is --round, the inferences of a round; give one of the two")
        return replace(self, given={**self.given, "schedule.batch": batch})

    def words(self, changes: Mapping[str, Any]) -> list[str]:
        """Return the words of a command line that give the options and, by stage or setting, changes."""
        from mho.strategy import registered
        from mho.strategy.strategy import place_of

        words = [] if self.base is None else ["--strategy", self.base]
        for key, value in {**self.given, **changes}.items():
            stage, name = place_of(key, value)
            if name is None:
                words += [_written(stage), str(value)]
                continue
            kind, setting = _settings(registered(stage))[name]
            option = _written(setting.option or name)
            words += ([option] if value in (True, "true") else []) if kind is bool else [option, str(value)]
        return words

    def options(self) -> tuple[str, ...]:
        """Name the options that are given, as they are written; those of settings by the settings' names."""
        base = () if self.base is None else ("strategy",)
        return tuple(_written(key.rpartition(".")[2]) for key in (*base, *self.given))

    def strategies(self, stage: str, values: str | None, usual: str) -> list[Strategy]:
        """Return one strategy for each of several choices of a stage, separated by commas.

        Where no values are given these are the `usual` ones, and the one of the strategy that is started from; beside a basis, the
        usual schedules store the weights themselves. A setting need not be one of all these choices. OptionError where it is none
        of any, or where a choice is named twice.
        """
        from mho.strategy import STAGES, Strategy

        base = Strategy.of(self.base)
        names = [name.strip() for name in (values or usual).split(",")]
        own_choice = getattr(base, stage).name
        if values is None and self.base is not None and own_choice not in names:
            names.append(own_choice)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise OptionError(f"--{stage} names {twice} twice")
        shared = {key: value for key, value in self.given.items() if not key.startswith(f"{stage}.")}
        own = {key: value for key, value in self.given.items() if key.startswith(f"{stage}.")}
        strategies, used = [], set()
        for name in names:
            strategy = base.with_({**shared, stage: name})
            if values is None and name != own_choice and _streams(strategy):
                strategy = strategy.with_(coding=STAGES["coding"].default, mapping=STAGES["mapping"].default)
            fits = {key: own[key] for key in own if key.partition(".")[2] in getattr(strategy, stage).settings()}
            used |= set(fits)
            strategies.append(strategy.with_(fits))
        for key, value in own.items():
            if key not in used:
                strategies[0].with_({key: value})  # Says which choices have it.
        return strategies

    def of_codes(self) -> dict[str, bool]:
        """Say of each option of weights' codes that is given that it is."""
        return {_written(key.rpartition(".")[2]): True for key in self.given if key.partition(".")[0] == "coding"}


def seeded(strategy: Strategy, seed: int) -> Strategy:
    """Return a strategy whose search, if it has one, starts from a seed."""
    return strategy.with_(seed=seed) if searches(strategy) else strategy


def _streams(strategy: Strategy) -> bool:
    """Return whether the mapping stores a basis, whose coefficients a schedule has to fetch."""
    from mho.mapping import Mapper

    return strategy.get(Mapper).streams


def searches(strategy: Strategy) -> bool:
    """Return whether the schedule draws anything, so that a seed matters."""
    from mho.schedule.stages import Schedule

    return strategy.get(Schedule).draws


def flows(strategy: Strategy) -> bool:
    """Return whether the schedule makes streams, so that requests may arrive at a rate."""
    from mho.schedule.stages import Schedule

    return strategy.get(Schedule).flows


def idle_rounds(program: Program, batch: int | None) -> str:
    """Say that rounds which were asked for change nothing, where the chip holds the network; else nothing."""
    if batch is None or program.stream is None or program.stream.segments:
        return ""
    return (
        f"--batch {batch} changes nothing: {program.chip.name} holds all weights of {program.network.name}, and inferences in "
        "rounds would not follow one another faster"
    )


def check_sampled(given: Mapping[str, bool], *strategies: Strategy, executed: str | None) -> None:
    """Refuse files of samples that nothing goes by; `executed` is the option that would execute something, None if it does."""
    from mho.schedule.stages import Coding

    if executed is None or any(strategy.get(Coding).by_samples for strategy in strategies):
        return
    for option in ("--data", "--calibration"):
        if given.get(option):
            raise OptionError(
                f"{option} is for {executed}--rounding output, --budget and --coding basis; without them nothing goes by samples"
            )


def written(strategy: Strategy) -> tuple[str, ...]:
    """Name the options that go by the values of weights, as they are written."""
    options = []
    for where in strategy.needs_weights:
        stage, _, name = where.partition(".")
        chosen: Choice = getattr(strategy, stage)
        by = name or chosen.by
        options.append(f"--{by.replace('_', '-')}" if by else f"--{stage.replace('_', '-')} {chosen.spelled()}")
    return tuple(dict.fromkeys(options))


def needs_weights(weights: str | None, strategy: Strategy) -> bool:
    """Return whether a strategy goes by the values of weights; refuse that where --weights none asks for none."""
    options = written(strategy)
    if options and weights == "none":
        needs = "need" if len(options) > 1 else "needs"
        raise OptionError(
            f"--weights none gives shapes alone; {' and '.join(options)} {needs} weights: give seeded or a file"
        )
    return bool(options)


def options(stages: Iterable[str], several: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> list[Any]:
    """Return the options of stages and settings; stages in `several`, and settings in `without`, are left to the command."""
    from mho.strategy import ALL_STAGES, STAGES, TABLE_STAGES, registered, strategies

    of_tables = [stage for stage in stages if stage in TABLE_STAGES]
    known = ", ".join(strategies(networks=len(of_tables) < len(list(stages)), tables=bool(of_tables)))
    presets = f"A preset ({known}), or a strategy's file (mho init strategy writes one); other options change it."
    panel = STRATEGY if any(stage in STAGES for stage in stages) else TABLES
    declared: dict[str, tuple[str, Any, str, str, str]] = {"base": ("--strategy", str, "NAME|FILE", panel, presets)}
    for stage in stages:
        about, kinds = ALL_STAGES[stage], registered(stage)
        panel = WEIGHTS if stage == "coding" else TABLES if stage in TABLE_STAGES else STRATEGY
        short = [kind.settings()[kind.short][1].metavar or "N" for kind in kinds.values() if kind.short]
        if stage not in several:
            text = f"{about.help} One of: {', '.join(kinds)}. Else {about.default}."
            declared[stage] = (_written(stage), str, "|".join([*kinds, *short]) if short else "NAME", panel, text)
        for name, (kind, setting) in _settings(kinds).items():
            if (key := f"{stage}.{name}") not in (*OWN, *without):
                text = f"{setting.help} One of: {', '.join(setting.among)}." if setting.among else setting.help
                option = _written(setting.option or name)
                declared[key] = (option, kind, setting.metavar or "NAME", panel, text)
    first = [key for key in declared if key.startswith("coding")]
    return _built({key: declared[key] for key in (*first, *(key for key in declared if key not in first))})


def _written(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _built(declared: Mapping[str, tuple[str, Any, str, str, str]]) -> list[Any]:
    """Return the parameters of a command with these options, by key: how it is written, type, metavar, panel and help."""
    parameters = []
    for key, (option, kind, metavar, panel, text) in declared.items():
        flag = kind is bool
        about = typer.Option(option, help=text, rich_help_panel=panel, metavar=None if flag else metavar)
        parameters.append(
            Parameter(
                key.replace(".", "_"),
                Parameter.KEYWORD_ONLY,
                default=False if flag else None,
                annotation=Annotated[bool if flag else str | None, about],
            )
        )

    def stand_in(**given: Any) -> None:
        """Take the options."""

    stand_in.__dict__["__signature__"] = Signature(parameters)
    stand_in.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(stand_in)
    options = typer.main.get_command(app).params[: len(parameters)]
    for key, parameter in zip(declared, options, strict=True):
        parameter.expose_value, parameter.callback = False, _keeping(key)
    return list(options)


def _keeping(key: str) -> Callable[[Any, Any, Any], Any]:
    """Return what keeps the value of an option in the context of the command."""

    def keep(context: Any, parameter: Any, value: Any) -> Any:
        if value not in (None, False):
            context.meta.setdefault(GIVEN, {})[key] = value
        return value

    return keep


def _settings(known: Mapping[str, type[Choice]]) -> Mapping[str, tuple[Any, Setting]]:
    """Return the settings of all choices of a stage by name, each as the first choice that has it declares it."""
    settings: dict[str, tuple[Any, Setting]] = {}
    for kind in known.values():
        for name, declared in kind.settings().items():
            settings.setdefault(name, declared)
    return settings


def given_in(context: typer.Context) -> StrategyOptions:
    """Return what the command line of a command asks of the strategy."""
    given = dict(context.meta.get(GIVEN, {}))
    return StrategyOptions(given.pop("base", None), given)


def analog_keys() -> tuple[str, ...]:
    """Return the keys that --set takes for the analog side, those of a device included."""
    from mho.machine.analog.devices.reader import keys
    from mho.machine.analog.spec import Analog

    device = tuple(f"device.{key}" for key in keys() if key not in ("name", "description"))
    return (*Analog.keys(), *device)


class StrategyCommand(Command):
    """A command with the options of a strategy; these are made, and what they name is imported, only when it is called."""

    of_networks, of_tables = True, False
    """Whether it has the options of networks' stages, and of embedding tables'."""
    behind: str = MODEL
    """The panel behind which they stand in the help."""
    several: tuple[str, ...] = ()
    """Stages of which the command takes several choices, by an option of its own."""
    without: tuple[str, ...] = ()
    """Settings whose options would have the name of one of the command's own."""
    _own: list[Any]
    _made: tuple[Any, list[Any]] = (None, [])

    @property
    def params(self) -> list[Any]:
        """The command's own options, then those of the strategy."""
        from mho.strategy import STAGES, TABLE_STAGES, registered

        stages = (*(STAGES if self.of_networks else ()), *(TABLE_STAGES if self.of_tables else ()))
        state = tuple((stage, *registered(stage)) for stage in stages)
        if self._made[0] != state:
            # One list, since the option of help is put at its end and taken off again.
            panels = [getattr(parameter, "rich_help_panel", None) for parameter in self._own]
            after = max((place for place, panel in enumerate(panels) if panel == self.behind), default=-1) + 1
            self._made = state, [*self._own[:after], *options(stages, self.several, self.without), *self._own[after:]]
        return self._made[1]

    @params.setter
    def params(self, given: list[Any]) -> None:
        self._own = given

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the keys of the analog side filled in."""
        for parameter in self._own:
            text = getattr(parameter, "help", None)
            if parameter.name == "settings" and isinstance(text, str):
                parameter.__dict__["help"] = text.replace(NAMES, ", ".join(analog_keys()))
        super().format_help(ctx, formatter)


class WholeCommand(StrategyCommand):
    """A command for networks, and for recommenders with their tables."""

    of_tables = True


class TablesCommand(StrategyCommand):
    """A command for embedding tables alone."""

    of_networks, of_tables = False, True
    behind = "Serving"


class ComparingCommand(StrategyCommand):
    """A command that takes several schedules."""

    several = ("schedule",)


class ExploringCommand(StrategyCommand):
    """A command with a budget of designs."""

    without = ("coding.budget",)
