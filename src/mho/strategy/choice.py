"""Choices: what can be chosen at a stage of compiling, as small frozen classes whose fields carry range, help and unit.

@choice("mapping", "squeezed", papers=("sme",))
class Squeezed(Mapped):
    "Digits of weights over columns of cells, what is empty left out."

    turns: int = setting(default=1, least=1, most=64, help="How many blocks may share a group.")

The class line registers it: `mho compare --help`, strategy files, `mho init strategy` and the axes of a sweep know it from then on.
A plugin (docs/extending.md) registers in the same way.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from importlib import import_module
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform, get_args, get_type_hints

from mho.errors import MhoError, StrategyError, choices
from mho.plugins import load
from mho.strategy.stages import ALL_STAGES

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.strategy.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field of a choice takes: numbers from `least` to `most`, one `among` some words, or what `check` accepts.

    `above` excludes `least` itself. `option` is the name of its option on the command line where that is not the field's own;
    `examples` are values to try it with, where the range does not tell any. `commas`: text with = may hold commas. `empty`: a
    list may have nothing in it. `later`: data leave it out where it has its default, so that what was kept before there was such
    a field is read, and has its digest, as ever.
    """

    help: str
    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    among: tuple[str, ...] = ()
    unit: str = ""
    option: str | None = None
    metavar: str | None = None
    examples: tuple[Any, ...] = ()
    check: Callable[[Any], object] | None = None
    commas: bool = False
    empty: bool = False
    later: bool = False

    def demanded(self, kind: Any) -> str:
        """Say what values it takes."""
        if self.among:
            return f"one of {', '.join(self.among)}"
        inner, listed, optional = _kinds(kind)
        if inner is bool:
            return "true or false"
        what = {int: "a whole number", float: "a number", str: "text"}[inner]
        if self.least > -math.inf:
            what += f" above {self.least:g}" if self.above else f" from {self.least:g}"
            what += f" to {_plain(self.most)}" if self.most < math.inf else "" if self.above else " on"
        what += f" {self.unit}" if self.unit else ""
        return f"{'a list of ' if listed else ''}{what}{', or none' if optional else ''}"

    def accepts(self, kind: Any, value: Any) -> bool:
        """Return True if a value has the field's type and lies in its range."""
        inner, listed, optional = _kinds(kind)
        if value is None:
            return optional
        if listed:
            return (
                isinstance(value, tuple)
                and (self.empty or bool(value))
                and all(self._one(inner, item) for item in value)
            )
        return self._one(inner, value)

    def _one(self, inner: type, value: Any) -> bool:
        if self.among:
            return isinstance(value, str) and value in self.among
        if inner in (bool, str):
            return isinstance(value, inner)
        if isinstance(value, bool) or not isinstance(value, int if inner is int else int | float):
            return False
        return (
            abs(value) <= sys.float_info.max
            and (value > self.least if self.above else value >= self.least)
            and value <= self.most
        )

    def read(self, kind: Any, value: Any) -> Any:
        """Bring a value of a file or of the command line to the field's type, where it stands for one; else leave it."""
        inner, listed, optional = _kinds(kind)
        if optional and (value is None or value == "none"):
            return None
        if listed:
            items = (
                value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
            )
            return tuple(_read_one(inner, item) for item in items)
        return _read_one(inner, value)


def _read_one(inner: type, value: Any) -> Any:
    if isinstance(value, str) and inner is not str:
        if inner is bool:
            return {"true": True, "false": False}.get(value, value)
        try:
            return inner(value)
        except ValueError:
            return value
    if inner is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    if inner is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else f"{number:g}"


@cache
def _declared(kind: Any) -> Mapping[str, tuple[Any, Setting]]:
    """Return the settings of a choice; types are read from text, which takes long."""
    hints = get_type_hints(kind)
    return {item.name: (hints[item.name], item.metadata["setting"]) for item in fields(kind)}


@cache
def _kinds(kind: Any) -> tuple[type, bool, bool]:
    """Return the type of one value of a field, whether it takes several, and whether it may be None."""
    optional = isinstance(kind, UnionType) and NoneType in get_args(kind)
    inner = next(argument for argument in get_args(kind) if argument is not NoneType) if optional else kind
    arguments = get_args(inner)
    return (arguments[0], True, optional) if arguments else (inner, False, optional)


def setting(*, default: Any = MISSING, help: str, **limits: Any) -> Any:
    """Declare a field of a choice; see `Setting` for the limits."""
    return field(default=default, metadata={"setting": Setting(help, **limits)})


class Choice:
    """What is chosen at one stage. Subclasses are frozen records of settings; `choice` registers them.

    `papers` are keys of the papers whose technique it is. Which of its settings go by the values of weights is told by `weighted`.
    """

    stage: ClassVar[str] = ""
    name: ClassVar[str] = ""
    papers: ClassVar[tuple[str, ...]] = ()
    weighted: ClassVar[bool] = False
    by: ClassVar[str | None] = None
    short: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        """Refuse values out of range. StrategyError names the field."""
        for key, (kind, declared) in self.settings().items():
            value = getattr(self, key)
            one = isinstance(value, str) and "," in value and not (declared.commas and "=" in value)
            if one and (others := _taking_several(self.stage, key)):
                raise self.refuse(f"names several; one, or several with {others}", field=key, bound=declared)
            if not declared.accepts(kind, value):
                known = declared.among and isinstance(value, str)
                demanded = choices(value, declared.among) if known else f"takes {declared.demanded(kind)}"
                needed = f"`{self.by}` needs it" if value == () else ""
                raise self.refuse("is missing" if needed else demanded, field=key, bound=declared, helps=needed)
            if declared.check is not None:
                try:
                    declared.check(value)
                except (MhoError, ValueError) as error:
                    raise self.refuse(str(error), field=key, bound=declared) from None

    @classmethod
    def settings(cls) -> Mapping[str, tuple[Any, Setting]]:
        """Return the fields by name, each with its type and what it takes."""
        return _declared(cls)  # type: ignore[arg-type]

    @classmethod
    def summary(cls) -> str:
        """Say in a sentence what the choice is: the first of its docstring."""
        return " ".join((cls.__doc__ or "").split()).partition(". ")[0].rstrip(".")

    @property
    def needs_weights(self) -> tuple[str, ...]:
        """The fields that go by the values of weights; the stage itself where all of the choice does."""
        return (self.stage,) if self.weighted else ()

    def refusals(self, subject: Any, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Yield why a network, a `Sampled`, cannot be compiled so for a chip; of tables' stages, why a `Trace` cannot be served."""
        yield from ()

    def idle(self, task: Any) -> Iterator[str]:
        """Yield what of the choice changes nothing for a task that is scheduled."""
        yield from ()

    def refuse(self, demanded: str, *, field: str = "", bound: object = None, helps: str = "") -> StrategyError:
        """Return the refusal of this choice, or of a field of it."""
        where, value = (f"{self.stage}.{field}", getattr(self, field)) if field else (self.stage, self.spelled())
        option = self.settings()[field][1].option if field else None
        return StrategyError(where, value, demanded, bound=bound, helps=helps, option=option)

    def spelled(self) -> Any:
        """Return how the choice is written in short: its name, or the value of the field that stands for it."""
        return self.name if self.short is None else getattr(self, self.short)

    def to_dict(self) -> dict[str, Any]:
        """Return the choice's name and its settings as plain values."""
        plain = {key: getattr(self, key) for key in self.settings() if not self._unsaid(key)}
        return {"choice": self.name, **{key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}}

    def _unsaid(self, key: str) -> bool:
        """Return True if data leave a setting out, as it has its default."""
        default = type(self).__dataclass_fields__[key].default  # type: ignore[attr-defined]
        return self.settings()[key][1].later and bool(getattr(self, key) == default)

    @classmethod
    def required(cls) -> frozenset[str]:
        """Return the settings that data always name."""
        return frozenset(key for key, (_, declared) in cls.settings().items() if not declared.later)

    def __str__(self) -> str:
        """Say it in a few words: the name, and settings that are not the usual ones."""
        default = {item.name: item.default for item in fields(self)}  # type: ignore[arg-type]
        changed = [f"{key} {_said(value)}" for key in self.settings() if (value := getattr(self, key)) != default[key]]
        return f"{self.name} ({', '.join(changed)})" if changed else self.name

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build the choice of values as a file or the command line writes them."""
        known = cls.settings()
        return cls(**{key: known[key][1].read(known[key][0], value) for key, value in values.items()})


def _taking_several(stage: str, key: str) -> str:
    """Name the settings by which choices are made whose setting of this name takes several values."""
    takes = (kind for kind in registered(stage).values() if key in kind.settings())
    return " or ".join(f"`{kind.by}`" for kind in takes if kind.by and _kinds(kind.settings()[key][0])[1])


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_REGISTERED: dict[str, dict[str, type[Choice]]] = {}
C = TypeVar("C", bound=Choice)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def choice(
    stage: str,
    name: str,
    *,
    papers: tuple[str, ...] = (),
    weighted: bool = False,
    by: str | None = None,
    short: str | None = None,
) -> Callable[[type[C]], type[C]]:
    """Register a class as a choice of a stage, under a name, and make it a frozen record.

    `weighted`: it goes by the values of weights. `by`: a setting that, given without a choice, means this one. `short`: a
    setting whose value alone stands for the choice. ValueError where the name is taken.
    """

    def register(kind: type[C]) -> type[C]:
        known = _REGISTERED.setdefault(stage, {})
        if name in known:
            raise ValueError(f"stage {stage!r} has a choice {name!r} already")
        kind.stage, kind.name, kind.papers, kind.weighted, kind.by, kind.short = (
            stage,
            name,
            papers,
            weighted,
            by,
            short,
        )
        known[name] = dataclass(frozen=True)(kind)
        return kind

    return register


def unregister(kind: type[Choice]) -> None:
    """Forget a choice, such as a test's own."""
    del _REGISTERED[kind.stage][kind.name]


def registered(stage: str) -> Mapping[str, type[Choice]]:
    """Return the choices of a stage by name, sorted."""
    if stage in ALL_STAGES:
        import_module(ALL_STAGES[stage].home)
        load()
    return dict(sorted(_REGISTERED.get(stage, {}).items()))


def chosen(stage: str, value: Any) -> Choice | type[Choice]:
    """Return the choice that a name, or a value that stands for one, means. StrategyError names the nearest."""
    if isinstance(value, Choice):
        if value.stage != stage:
            raise StrategyError(stage, value.name, f"is a choice of stage {value.stage!r}")
        return value
    known = registered(stage)
    if isinstance(value, str) and value in known:
        return known[value]
    refused: StrategyError | None = None
    for kind in known.values():
        if kind.short is not None:
            item, declared = kind.settings()[kind.short]
            read = declared.read(item, value)
            if declared.accepts(item, read):
                return kind.of({kind.short: value})
            refused = StrategyError(
                stage,
                value,
                f"takes {', '.join(n for n, k in known.items() if k.short is None)} or {declared.demanded(item)}",
            )
    if refused is not None:
        raise refused
    raise StrategyError(stage, value, choices(str(value), known), bound=tuple(known))


def built(stage: str, value: Any, settings: Mapping[str, Any]) -> Choice:
    """Return the choice of a stage that a name and settings mean. StrategyError for a setting that it does not have."""
    picked = chosen(stage, value)
    kind = picked if isinstance(picked, type) else type(picked)
    kept = {} if isinstance(picked, type) else {name: getattr(picked, name) for name in kind.settings()}
    for name, given in settings.items():
        if name not in kind.settings():
            raise _of_no_use(stage, kind, name, given)
    return kind.of({**kept, **settings})


def _of_no_use(stage: str, kind: type[Choice], name: str, value: object) -> StrategyError:
    """Return the refusal of a setting that the choice made does not have."""
    having = [other for other in registered(stage).values() if name in other.settings()]
    if not having:
        known = choices(str(name), kind.settings()) if kind.settings() else f"{kind.name} has no settings"
        return StrategyError(f"{stage}.{name}", value, f"no choice of {stage} has it; {known}")
    by = [other.by for other in having if other.by is not None]
    helps = f"leave `{stage}` out" if name in by else f"give {' or '.join(f'`{key}`' for key in by)} too" if by else ""
    return StrategyError(
        f"{stage}.{name}",
        value,
        f"is for {stage} {' or '.join(repr(other.name) for other in having)}, not {kind.name!r}",
        bound=stage,
        helps=helps,
        option=having[0].settings()[name][1].option,
    )


__all__ = ["Choice", "Setting", "built", "choice", "chosen", "registered", "setting", "unregister"]
