"""A study as a page: Markdown for the documentation, HTML that needs nothing but itself. Both show the same tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mho.studies.layout import Cell, Sheet, lay_out
from mho.studies.plot import render
from mho.studies.rows import Part, Study

PAPER_LINE = (
    "*Ours* is measured by mho, and a schedule, design or array that is called ours is mho's own; *paper* is what the paper "
    "prints (≈: not printed, but derived from what is, as the note says; –: not printed, or lost in our copy). Every "
    "difference of more than a tenth has a note."
)


def _escaped(text: str) -> str:
    """Keep Markdown from reading a table's text as anything but text."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _cell(cell: Cell) -> str:
    return _escaped(cell.text) + (f" [{cell.note}]" if cell.note else "")


def _markdown_table(sheet: Sheet) -> Iterator[str]:
    if sheet.title:
        yield f"**{_escaped(sheet.title)}**\n"
    words = 2 if sheet.heads[0] == "quantity" else 1
    yield "| " + " | ".join(map(_escaped, sheet.heads)) + " |"
    yield "|" + "---|" * words + "--:|" * (len(sheet.heads) - words)
    for line in sheet.lines:
        yield "| " + " | ".join(_cell(cell) for cell in line) + " |"
    yield ""


def _markdown_part(study: Study, part: Part, image: Callable[[str], str]) -> Iterator[str]:
    yield f"## {part.title}\n"
    yield f"{part.source}. {part.text}\n"
    for plot in part.plots:
        yield f"![{_escaped(plot.title)}]({image(plot.id)})\n"
    laid = lay_out(study, part)
    for sheet in laid.sheets:
        yield from _markdown_table(sheet)
    for number, note in enumerate(laid.notes, start=1):
        yield f"{number}. {_escaped(note)}"
    if laid.notes:
        yield ""


def markdown(study: Study, *, title: str, head: str, image: Callable[[str], str]) -> str:
    """Return a study as a Markdown page. `image` gives the path of a plot's SVG, `head` stands under the title."""
    lines = [f"# {title}\n", f"{head}\n", f"{PAPER_LINE}\n"]
    for part in study.parts:
        lines += _markdown_part(study, part, image)
    lines += ["## Assumptions\n", *(f"- {_escaped(each)}" for each in study.assumptions), ""]
    lines.append("Chips: " + ", ".join(f"`{name}` ({digest[:12]})" for name, digest in study.chips.items()) + ".")
    return "\n".join(lines) + "\n"


def html(study: Study, *, title: str) -> str:
    """Return a study as one self-contained page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("mho.studies", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = [
        {
            "part": part,
            "plots": [Markup(render(plot, study)) for plot in part.plots],  # ours, and escaped where it is made
            "laid": lay_out(study, part),
        }
        for part in study.parts
    ]
    return environment.get_template("study.html.j2").render(
        study=study, title=title, parts=parts, paper_line=PAPER_LINE.replace("*", "")
    )
