"""A strategy: the choice at every stage of compiling, as one frozen record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mho.errors import OptionError, StrategyError, choices
from mho.files.text import read_yaml
from mho.number import QuantisedNetwork, Sampled
from mho.plugins import Presets
from mho.shown import Shown
from mho.strategy.choice import Choice, built, chosen, registered
from mho.strategy.papers import paper_keys
from mho.strategy.stages import STAGES

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network

PRESETS = Presets(Path(__file__).parent / "presets", "strategy", OptionError)
ABOUT = ("description", "papers")
"""The keys of a strategy's file that are no stages."""
S = TypeVar("S", bound=Choice)


def _usual(stage: str) -> Callable[[], Choice]:
    return lambda: registered(stage)[STAGES[stage].default]()


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

    Stages hold `Choice` records: strategy.mapping.turns. Equal strategies have equal digests.
    """

    coding: Choice = field(default_factory=_usual("coding"))
    mapping: Choice = field(default_factory=_usual("mapping"))
    alignment: Choice = field(default_factory=_usual("alignment"))
    low_cell: Choice = field(default_factory=_usual("low_cell"))
    schedule: Choice = field(default_factory=_usual("schedule"))
    banks: Choice = field(default_factory=_usual("banks"))
    placement: Choice = field(default_factory=_usual("placement"))
    residency: Choice = field(default_factory=_usual("residency"))
    cited: tuple[str, ...] = field(default=(), compare=False)
    """Papers that a strategy's file names beside those of its choices; they say whom to cite, and change nothing else."""

    def __post_init__(self) -> None:
        """Refuse a choice that is of another stage."""
        for stage in STAGES:
            given = getattr(self, stage)
            if not isinstance(given, Choice) or given.stage != stage:
                raise OptionError(f"{stage} is one of the choices {', '.join(registered(stage))}, not {given!r}")

    @staticmethod
    def choices(stage: str) -> Mapping[str, type[Choice]]:
        """Return what can be chosen at a stage, by name. OptionError for a stage that there is not."""
        if not isinstance(stage, str) or stage not in STAGES:
            raise OptionError(f"a strategy has no stage {stage!r}; {choices(str(stage), STAGES)}")
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

    def refusals(self, network: Network | QuantisedNetwork | Sampled, chip: Chip) -> tuple[StrategyError, ...]:
        """Return why a network cannot be compiled so for a chip, all reasons; none where it can."""
        from mho.chip import Chip

        if not isinstance(chip, Chip):
            raise OptionError(f"a strategy is checked for a Chip, not {chip!r}; mho.Chip.load makes one")
        subject = Sampled.of(network)
        found = []
        if not subject.has_values:
            for where in self.needs_weights:
                stage, _, name = where.partition(".")
                found.append(
                    getattr(self, stage).refuse(
                        f"goes by the values of weights, but {subject.net.name} is known by shapes alone",
                        field=name, helps="load it with weights",
                    )
                )  # fmt: skip
        for stage in STAGES:
            found += getattr(self, stage).refusals(subject, chip, self)
        return tuple(found)

    def check(self, network: Network | QuantisedNetwork | Sampled, chip: Chip) -> None:
        """Raise the first of the refusals, if there is any. StrategyError."""
        for refusal in self.refusals(network, chip):
            raise refusal

    @property
    def needs_weights(self) -> tuple[str, ...]:
        """The stages and settings that go by the values of weights."""
        return tuple(where for stage in STAGES for where in getattr(self, stage).needs_weights)

    @property
    def papers(self) -> tuple[str, ...]:
        """The keys of the papers whose techniques are chosen, and of those that the strategy's file names, each once."""
        return tuple(dict.fromkeys([*(key for stage in STAGES for key in getattr(self, stage).papers), *self.cited]))

    def to_dict(self) -> dict[str, Any]:
        """Return every choice with all its settings, as plain values by stage."""
        return {stage: getattr(self, stage).to_dict() for stage in STAGES}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Strategy:
        """Return the strategy of `to_dict`, whole; StrategyError for what none gives, a key too many or too few."""
        if not isinstance(record, Mapping):
            raise OptionError(f"a strategy is a mapping of stages, not {record!r}")
        stages: dict[str, Any] = {}
        for stage in STAGES:
            given = record.get(stage)
            settings = dict(given) if isinstance(given, Mapping) else {}
            name = settings.pop("choice", None)
            stages[stage] = built(stage, name, settings)
            if settings.keys() != stages[stage].settings().keys():
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
        return tuple((stage, str(getattr(self, stage))) for stage in STAGES)


def place_of(key: str, value: object = None) -> tuple[str, str | None]:
    """Return the stage, and the setting or None, that a key names. StrategyError with the nearest keys."""
    if key in STAGES:
        return key, None
    if not isinstance(key, str):
        raise OptionError(f"a stage or a setting is named by a word, not {key!r}")
    stage, dot, name = key.partition(".")
    if dot and stage in STAGES and any(name in kind.settings() for kind in registered(stage).values()):
        return stage, name
    homes = [each for each in STAGES if any(key in kind.settings() for kind in registered(each).values())]
    if len(homes) == 1:
        return homes[0], key
    if homes:
        raise StrategyError(
            key, value, f"is a setting of several stages; name it {' or '.join(f'{h}.{key}' for h in homes)}"
        )
    raise StrategyError(key, value, f"a strategy has no such stage or setting; {choices(key, keys())}")


def keys() -> tuple[str, ...]:
    """Return the stages and, by stage and name, all settings of their choices."""
    found: dict[str, None] = {}
    for stage in STAGES:
        found[stage] = None
        for kind in registered(stage).values():
            found.update({f"{stage}.{name}": None for name in kind.settings()})
    return tuple(found)


def strategies() -> tuple[str, ...]:
    """Return the names of the presets, sorted: mho's own, and those of plugins."""
    return PRESETS.names()


def about(name: str) -> Mapping[str, Any]:
    """Return what a preset says of itself: description and papers."""
    content = read_yaml(PRESETS.path(name), OptionError)
    return {"description": content.get("description", ""), "papers": tuple(content.get("papers", ()))}
