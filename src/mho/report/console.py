"""The terminal: what is printed on it are characters, whatever names of a user's files hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from mho.errors import printable


class _Printable:
    """Something to print, with the characters that a terminal would obey as their escapes; rich's own colours are beside them."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self._inner, options):
            yield Segment(text if control else printable(text, lines=True), style, control)


class _Hook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


def terminal(*, file: IO[str] | None = None, stderr: bool = False, quiet: bool = False, **options: Any) -> Console:
    """Return a console that prints nothing but characters."""
    console = Console(file=file, stderr=stderr, quiet=quiet, **options)
    console.push_render_hook(_Hook())
    return console
