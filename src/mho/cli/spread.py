"""Commands that take options by the group: a parameter that is a dataclass stands for an option for each of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with each parameter that is a dataclass replaced by parameters like the fields, in their order.

    These have the fields' names, annotations and defaults. The command itself is called with the dataclasses built of
    them, by keyword. Raises TypeError where two parameters come to have one name.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in signature(command).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind) and isinstance(kind, type):
            groups[parameter.name] = kind
            kinds = get_type_hints(kind, include_extras=True)
            parameters.extend(_parameter(each, kinds[each.name]) for each in fields(kind))
        else:
            parameters.append(parameter.replace(annotation=kind, kind=Parameter.KEYWORD_ONLY))
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise TypeError(f"{command.__name__} has two options of one name: {sorted(names)}")

    def called(**given: Any) -> None:
        built = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)}) for name, kind in groups.items()
        }
        command(**given, **built)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__dict__["__signature__"] = Signature(parameters)
    return called


def _parameter(field: Field[Any], kind: Any) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
