"""A study as Markdown for the documentation, and as a view for the page. Both show the same tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mho.report import page
from mho.report.sections import Group, Notes, Section, Table, View
from mho.studies.layout import drawing, lay_out
from mho.studies.rows import Study, StudyPart

PAPER_LINE = (
    "*Ours* is measured by mho, and a schedule, design or array that is called ours is mho's own; *paper* is what the paper "
    "prints (≈: not printed, but derived from what is, as the note says; –: not printed, or lost in our copy). Every "
    "difference of more than a tenth has a note."
)


def _escaped(text: str) -> str:
    """Keep Markdown from reading a table's text as anything but text."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _markdown_table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{_escaped(table.title)}**\n"
    yield "| " + " | ".join(map(_escaped, table.heads)) + " |"
    yield "|" + "---|" * table.names + "--:|" * (len(table.heads) - table.names)
    for line in table.lines:
        yield "| " + " | ".join(map(_escaped, line)) + " |"
    yield ""


def _markdown_part(study: Study, part: StudyPart, image: Callable[[str], str]) -> Iterator[str]:
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
    lines += ["## Assumptions\n", *(f"- {_escaped(assumption)}" for assumption in study.assumptions), ""]
    lines.append("Chips: " + ", ".join(f"`{name}` ({digest[:12]})" for name, digest in study.chips.items()) + ".")
    return "\n".join(lines) + "\n"


def _group(study: Study, part: StudyPart) -> Group:
    laid = lay_out(study, part)
    sections: list[Section] = [*(drawing(plot, study) for plot in part.plots), *laid.sheets]
    if laid.notes:
        sections.append(Notes(title="", notes=laid.notes, numbered=True))
    return Group(title=part.title, remark=f"{part.source}. {part.text}", sections=sections)


def view(study: Study, *, title: str) -> View:
    """Return the view of a study."""
    chips = "".join(f" · chip {name} {digest[:12]}" for name, digest in study.chips.items())
    parts = [_group(study, part) for part in study.parts]
    about = (study.paper, f"mho {study.version}{chips}", PAPER_LINE.replace("*", ""))
    return View(title, (*parts, Notes(title="Assumptions", notes=study.assumptions)), about)


def html(study: Study, *, title: str) -> str:
    """Return a study as one self-contained page."""
    return page.render(view(study, title=title))
