"""A strategy: the choice at every stage of compiling, as one frozen record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mho.errors import SUBJECT, OptionError, StrategyError, choices
from mho.files.text import read_yaml
from mho.number import QuantisedNetwork, Sampled
from mho.plugins import Presets
from mho.shown import Shown
from mho.strategy.choice import Choice, built, chosen, registered
from mho.strategy.papers import paper_keys
from mho.strategy.stages import ALL_STAGES, STAGES, TABLE_STAGES

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.trace.trace import Trace

PRESETS = Presets(Path(__file__).parent / "presets", "strategy", OptionError)
ABOUT = ("description", "papers")
"""The keys of a strategy's file that are no stages."""
S = TypeVar("S", bound=Choice)


def _usual(stage: str) -> Callable[[], Choice]:
    return lambda: registered(stage)[ALL_STAGES[stage].default]()


@dataclass(frozen=True, repr=False)
class Strategy(Shown):
    """What is chosen at every stage.

    Strategy()                                          the usual choices: schedule adaptive, mapping dense
    Strategy.load("aras")                               a preset, or a YAML file (mho init strategy writes one)
    strategy.with_(schedule="overlap", banks="greedy")  other choices, by their names
    strategy.with_(mapping="squeezed", turns=4)         a setting, by its own name where one stage alone has it
    strategy.with_({"mapping.turns": 4})                a setting, by stage and name
    Strategy.choices("mapping")                         what there is to choose from, by name
    strategy.check(network, chip)                       refuses what cannot be compiled so, before any long work

    strategy.check(trace, chip)                         the same for a trace of look-ups that embedding tables serve

    Stages hold `Choice` records: strategy.mapping.turns. Equal strategies have equal digests. Stages from grouping
    on are for embedding tables; where one is not as usual, no network is compiled so.
    """

    coding: Choice = field(default_factory=_usual("coding"))
    mapping: Choice = field(default_factory=_usual("mapping"))
    conversion: Choice = field(default_factory=_usual("conversion"))
    alignment: Choice = field(default_factory=_usual("alignment"))
    low_cell: Choice = field(default_factory=_usual("low_cell"))
    schedule: Choice = field(default_factory=_usual("schedule"))
    banks: Choice = field(default_factory=_usual("banks"))
    placement: Choice = field(default_factory=_usual("placement"))
    residency: Choice = field(default_factory=_usual("residency"))
    grouping: Choice = field(default_factory=_usual("grouping"))
    new_rows: Choice = field(default_factory=_usual("new_rows"))
    copies: Choice = field(default_factory=_usual("copies"))
    seating: Choice = field(default_factory=_usual("seating"))
    reading: Choice = field(default_factory=_usual("reading"))
    cited: tuple[str, ...] = field(default=(), compare=False)
    """Papers that a strategy's file names beside those of its choices; they say whom to cite, and change nothing else."""

    def __post_init__(self) -> None:
        """Refuse a choice that is of another stage."""
        for stage in ALL_STAGES:
            given = getattr(self, stage)
            if not isinstance(given, Choice) or given.stage != stage:
                raise OptionError(f"{stage} is one of the choices {', '.join(registered(stage))}, not {given!r}")

    @staticmethod
    def choices(stage: str) -> Mapping[str, type[Choice]]:
        """Return what can be chosen at a stage, by name. OptionError for a stage that there is not."""
        if not isinstance(stage, str) or stage not in ALL_STAGES:
            raise OptionError(f"a strategy has no stage {stage!r}; {choices(str(stage), ALL_STAGES)}")
        return registered(stage)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Strategy:
        """Load a preset or a YAML file. OptionError where there is none, StrategyError for what stands in it."""
        path = PRESETS.path(name_or_path)
        content = read_yaml(path, OptionError)
        cited = paper_keys(content.get("papers", ()), str(path))
        if name_or_path in PRESETS.names():
            cited = ()  # A preset's are those of its choices, which may be changed.
        try:
            return replace(cls(), cited=cited).with_({key: v for key, v in content.items() if key not in ABOUT})
        except StrategyError as error:
            raise OptionError(f"{path}: {error}") from None

    @classmethod
    def of(cls, given: Strategy | str | Path | None) -> Strategy:
        """Return a strategy, that of a name or a file, or the usual one. OptionError for anything else."""
        if given is None or isinstance(given, Strategy):
            return given or cls()
        if isinstance(given, str | Path):
            return cls.load(given)
        raise OptionError(f"a strategy is a Strategy, or the name or the file of one, not {type(given).__name__}")

    def with_(self, changes: Mapping[str, Any] | None = None, /, **named: Any) -> Strategy:
        """Return a strategy with other choices and settings; StrategyError for what does not exist or is out of range.

        Settings that the old and the new choice of a stage both have stay as they are.
        """
        if not isinstance(changes, Mapping | None):
            raise OptionError(f"changes are choices and settings by their names, not {changes!r}")
        picked: dict[str, tuple[Any]] = {}
        given: dict[str, dict[str, Any]] = {}
        for key, value in {**(changes or {}), **named}.items():
            stage, setting = place_of(key, value)
            if setting is not None:
                given.setdefault(stage, {})[setting] = value
            elif isinstance(value, Mapping):
                settings = dict(value)
                if "choice" in settings:
                    picked[stage] = (settings.pop("choice"),)
                given.setdefault(stage, {}).update(settings)
            else:
                picked[stage] = (value,)
        changed: dict[str, Any] = {
            stage: self._changed(stage, picked.get(stage, ()), given.get(stage, {})) for stage in {*picked, *given}
        }
        return replace(self, **changed)

    def _changed(self, stage: str, picked: Sequence[Any], given: Mapping[str, Any]) -> Choice:
        old: Choice = getattr(self, stage)
        known = registered(stage).values()
        new: Choice | type[Choice] = type(old)
        if picked:
            new = chosen(stage, picked[0])
        else:
            # A setting that the choice made does not have may stand for a choice; of several, for one that has all that is given.
            meant = [kind for kind in known if kind.by in given and kind.by not in type(old).settings()]
            new = next((kind for kind in meant if kind.settings().keys() >= given.keys()), meant[0] if meant else new)
        if not isinstance(new, type):
            return built(stage, new, given)
        both = {
            name: getattr(old, name)
            for name, declared in new.settings().items()
            if type(old).settings().get(name, (None,))[0] == declared[0]
        }
        return built(stage, new.name, {**both, **given})

    def get(self, stage: type[S]) -> S:
        """Return the choice of a stage as what the stage's choices all are."""
        given = getattr(self, stage.stage)
        assert isinstance(given, stage)
        return given

    @property
    def table_stages(self) -> tuple[str, ...]:
        """The stages of embedding tables at which it is not as usual."""
        return tuple(stage for stage in TABLE_STAGES if getattr(self, stage) != _usual(stage)())

    @property
    def network_stages(self) -> tuple[str, ...]:
        """The stages of networks at which it is not as usual."""
        return tuple(stage for stage in STAGES if getattr(self, stage) != _usual(stage)())

    def of_networks(self) -> Strategy:
        """Return it with the usual choices for embedding tables: what the dense part of a recommender is compiled by."""
        return self.with_({stage: _usual(stage)() for stage in self.table_stages})

    def of_tables(self) -> Strategy:
        """Return it with the usual choices for networks: what the tables of a recommender are laid out by."""
        return self.with_({stage: _usual(stage)() for stage in self.network_stages})

    def refusals(self, subject: Network | QuantisedNetwork | Sampled | Trace, chip: Chip) -> tuple[StrategyError, ...]:
        """Return why a network cannot be compiled so for a chip, or a trace not be served so, all reasons; none where it can."""
        from mho.chip import Chip
        from mho.network.trace.trace import Trace

        if not isinstance(chip, Chip):
            raise OptionError(f"a strategy is checked for a Chip, not {chip!r}; mho.Chip.load makes one")
        if isinstance(subject, Trace):
            reasons = [
                self._strange(stage, "says how a network is compiled; a trace of look-ups is served without it")
                for stage in self.network_stages
            ]
            return (*reasons, *self._refused(TABLE_STAGES, subject, chip))
        sampled = Sampled.of(subject)
        lays_out = f"lays out embedding tables that a trace looks up; {sampled.net.name} is compiled without it"
        reasons = [self._strange(stage, lays_out) for stage in self.table_stages]
        if not sampled.has_values:
            for where in self.needs_weights:
                stage, _, name = where.partition(".")
                reasons.append(
                    getattr(self, stage).refuse(
                        f"goes by the values of weights, but {sampled.net.name} is known by shapes alone",
                        field=name, helps="load it with weights",
                    )
                )  # fmt: skip
        return (*reasons, *self._refused(STAGES, sampled, chip))

    def _strange(self, stage: str, demanded: str) -> StrategyError:
        """Return the refusal of a stage that is not for what is asked."""
        kind = "networks" if stage in TABLE_STAGES else "embedding tables"
        helps = f"leave `{stage}` as usual, or take a strategy for {kind}"
        return StrategyError(stage, getattr(self, stage).spelled(), demanded, bound=SUBJECT, helps=helps)

    def _refused(self, stages: Iterable[str], subject: Sampled | Trace, chip: Chip) -> Iterator[StrategyError]:
        for stage in stages:
            yield from getattr(self, stage).refusals(subject, chip, self)

    def check(self, subject: Network | QuantisedNetwork | Sampled | Trace, chip: Chip) -> None:
        """Raise the first of the refusals, if there is any. StrategyError."""
        for refusal in self.refusals(subject, chip):
            raise refusal

    @property
    def needs_weights(self) -> tuple[str, ...]:
        """The stages and settings that go by the values of weights."""
        return tuple(where for stage in STAGES for where in getattr(self, stage).needs_weights)

    @property
    def papers(self) -> tuple[str, ...]:
        """The keys of the papers whose techniques are chosen, and of those that the strategy's file names, each once."""
        of_choices = (key for stage in ALL_STAGES for key in getattr(self, stage).papers)
        return tuple(dict.fromkeys([*of_choices, *self.cited]))

    @property
    def told(self) -> tuple[str, ...]:
        """The stages by which it is told: those of networks, and those of embedding tables where one is not as usual.

        One that came later is told where it is not as usual.
        """
        untold = {name for name, stage in STAGES.items() if stage.later and getattr(self, name) == _usual(name)()}
        return (*(name for name in STAGES if name not in untold), *(TABLE_STAGES if self.table_stages else ()))

    def to_dict(self) -> dict[str, Any]:
        """Return every choice with all its settings, as plain values by stage; see `told`."""
        return {stage: getattr(self, stage).to_dict() for stage in self.told}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Strategy:
        """Return the strategy of `to_dict`, whole; StrategyError for what none gives, a key too many or too few."""
        if not isinstance(record, Mapping):
            raise OptionError(f"a strategy is a mapping of stages, not {record!r}")
        stages: dict[str, Any] = {}
        for stage in ALL_STAGES if any(stage in record for stage in TABLE_STAGES) else STAGES:
            if ALL_STAGES[stage].later and stage not in record:
                continue
            given = record.get(stage)
            settings = dict(given) if isinstance(given, Mapping) else {}
            name = settings.pop("choice", None)
            stages[stage] = built(stage, name, settings)
            if stages[stage].required() - settings.keys():
                raise StrategyError(
                    stage, name, f"has the settings {', '.join(stages[stage].settings()) or 'none'}, all of them"
                )
        if len(record) > len(stages):
            raise StrategyError(next(key for key in record if key not in stages), "", "is no stage of a strategy")
        return cls(**stages)

    @property
    def digest(self) -> str:
        """The SHA-256 of the choices and their settings, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def headline(self) -> str:
        """Name the schedule."""
        return f"Strategy: schedule {self.schedule}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return every stage with its choice."""
        return tuple((stage, str(getattr(self, stage))) for stage in self.told)


def place_of(key: str, value: object = None) -> tuple[str, str | None]:
    """Return the stage, and the setting or None, that a key names. StrategyError with the nearest keys."""
    if key in ALL_STAGES:
        return key, None
    if not isinstance(key, str):
        raise OptionError(f"a stage or a setting is named by a word, not {key!r}")
    stage, dot, name = key.partition(".")
    if dot and stage in ALL_STAGES and any(name in kind.settings() for kind in registered(stage).values()):
        return stage, name
    homes = [home for home in ALL_STAGES if any(key in kind.settings() for kind in registered(home).values())]
    if len(homes) == 1:
        return homes[0], key
    if homes:
        raise StrategyError(
            key, value, f"is a setting of several stages; name it {' or '.join(f'{h}.{key}' for h in homes)}"
        )
    raise StrategyError(key, value, f"a strategy has no such stage or setting; {choices(key, keys())}")


def keys() -> tuple[str, ...]:
    """Return the stages and, by stage and name, all settings of their choices."""
    names: dict[str, None] = {}
    for stage in ALL_STAGES:
        names[stage] = None
        for kind in registered(stage).values():
            names.update({f"{stage}.{name}": None for name in kind.settings()})
    return tuple(names)


def strategies(*, networks: bool = True, tables: bool = True) -> tuple[str, ...]:
    """Return the names of the presets, sorted: mho's own, and those of plugins; of `networks`, and of embedding `tables`."""
    if networks and tables:
        return PRESETS.names()
    loaded = {name: Strategy.load(name) for name in PRESETS.names()}
    return tuple(name for name, plan in loaded.items() if not (plan.table_stages if networks else plan.network_stages))


def about(name: str) -> Mapping[str, Any]:
    """Return what a preset says of itself: description and papers."""
    content = read_yaml(PRESETS.path(name), OptionError)
    return {"description": content.get("description", ""), "papers": tuple(content.get("papers", ()))}
