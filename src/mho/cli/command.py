"""What every command does with its words before it starts: no option twice, none empty."""

from __future__ import annotations

from typing import Any, cast

from typer.core import TyperCommand


class InterruptedWorkError(Exception):
    """Long work was interrupted; its text says what is kept of it."""


class Command(TyperCommand):
    """A command that refuses an option given twice, of which all but the last would be ignored, and an empty word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter in cast(list[Any], order):
            option = parameter.param_type_name == "option"
            name = parameter.opts[0] if option else parameter.metavar or str(parameter.name).upper()
            if option and not (parameter.multiple or parameter.is_flag) and order.count(parameter) > 1:
                ctx.fail(f"{name} is given twice; it takes one value")
            words = given.get(parameter.name)
            if any(
                isinstance(word, str) and not word.strip() for word in (words if isinstance(words, list) else [words])
            ):
                ctx.fail(f"{name} has no value: it is given as an empty word")
        return super().parse_args(ctx, args)
