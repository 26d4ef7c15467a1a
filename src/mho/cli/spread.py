"""Commands that take options by the group: a parameter that is a dataclass stands for an option for each of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from mho.cli.options import declared
from mho.cli.strategy import StrategyOptions, given_in

CONTEXT = "context_of_command"
"""The parameter by which a command that does not ask for its context is given it."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with each parameter that is a dataclass replaced by parameters like the fields, in their order.

    These have the fields' names, types and defaults. A parameter that only a name may give is an option, any other an argument, and
    each is told of as options.yaml declares it. The command itself is called with the dataclasses built of them, by keyword; a
    parameter that is a StrategyOptions is given what a StrategyCommand read. Raises TypeError where two parameters come to have
    one name.
    """
    hints = get_type_hints(command)
    parameters: list[Parameter] = []
    groups: dict[str, type[Any]] = {}
    strategy = next((name for name, kind in hints.items() if kind is StrategyOptions), None)
    for parameter in signature(command).parameters.values():
        kind = hints[parameter.name]
        if parameter.name == strategy:
            continue
        if is_dataclass(kind) and isinstance(kind, type):
            groups[parameter.name] = kind
            kinds, owners = get_type_hints(kind), (command.__name__, parameter.name)
            for option in fields(kind):
                default = Parameter.empty if option.default is MISSING else option.default
                parameters.append(_parameter(option.name, kinds[option.name], default, owners, argument=False))
        else:
            argument = parameter.kind is not Parameter.KEYWORD_ONLY
            owner = (command.__name__,)
            parameters.append(_parameter(parameter.name, kind, parameter.default, owner, argument=argument))
    context = next((name for name, kind in hints.items() if kind is typer.Context), None)
    if strategy is not None and context is None:
        parameters.append(Parameter(CONTEXT, Parameter.KEYWORD_ONLY, annotation=typer.Context))
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise TypeError(f"{command.__name__} has two options of one name: {sorted(names)}")

    def called(**given: Any) -> None:
        built: dict[str, Any] = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)}) for name, kind in groups.items()
        }
        if strategy is not None:
            built[strategy] = given_in(given.pop(CONTEXT) if context is None else given[context])
        command(**given, **built)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__dict__["__signature__"] = Signature(parameters)
    return called


def _parameter(name: str, kind: Any, default: Any, owners: tuple[str, ...], *, argument: bool) -> Parameter:
    """Return a parameter with what typer is told of it."""
    about = declared(name, owners, argument=argument)
    annotation = kind if about is None else Annotated[kind, about]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
