"""The studies' pages: python -m benchmarks.study measures and writes docs/study-NAME.md, its JSON and its plots.

--render writes page and plots again from the JSON that is there. Interrupt it at will: the next call goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.drift import read_drift, sentence
from benchmarks.files import ROOT, SCRATCH, write_text

if TYPE_CHECKING:
    from mho.studies import Study
    from mho.studies.chapter import Chapter
    from mho.studies.work import Work

DOCS = ROOT / "docs"
NAMES = ("aras", "autorac", "basisn", "recross", "silicon", "sme")
HEAD = (
    "Made by `python -m benchmarks.study`, which runs `mho study {name}`; never edited by hand. The same as data: "
    "[study-{name}.json](study-{name}.json) (schema `mho.study/1`, [studies.md](studies.md)). {paper}."
)

EXACT = (
    "Times, pulses and counts are *exact* under the files of the chips that are named: their pulses and periods are in them, no "
    "published constant is. Accuracies are counts over samples. Energies and areas are at the chips' own constants; "
)
"""What every page says of how sure it is, before what `SURE` says of its own."""
CLAIMS = "how far published constants move them, and which comparisons are decided, is in [claims.md](claims.md)."
SURE = {
    "aras": "between which ends 90 % of draws of published constants put savings, and what decides them, is in "
    "[Figures 15 to 17 under published constants](#figures-15-to-17-under-published-constants), verdicts by network in "
    "[robust.md](robust.md#how-sure-the-energies-of-arass-networks-are).",
    "autorac": "of each factor in energy it is told where 90 % of draws of published constants lie, and whether it is decided.",
    "basisn": CLAIMS,
    "recross": CLAIMS,
    "silicon": "what was measured of silicon, or printed by simulators, stands beside them. What published constants do to the "
    "energy of a program is in [robust.md](robust.md).",
    "sme": CLAIMS,
}


def rendered(study: Study) -> dict[Path, str]:
    """Return the page and the plots of a study, by their paths."""
    from mho.studies import title
    from mho.studies.files import plots
    from mho.studies.page import markdown

    name = study.name
    head = HEAD.format(name=name, paper=study.paper)
    moved = sentence(name, read_drift())
    head = "\n\n".join(part for part in (head, EXACT + SURE[name], moved) if part)
    page = markdown(study, title=title(name), head=head, image=lambda plot: f"images/study-{name}-{plot}.svg")
    texts = {DOCS / "images" / f"study-{name}-{plot}.svg": text for plot, text in plots(study).items()}
    return {DOCS / f"study-{name}.md": page, **texts}


def kept(name: str) -> Study:
    """Read the study that the page was made from."""
    from mho.studies import Study

    return Study.from_dict(json.loads((DOCS / f"study-{name}.json").read_text(encoding="utf-8")))


def publish(study: Study) -> None:
    """Write JSON, page and plots; plots that the study no longer has are removed."""
    from mho.studies.files import as_json

    texts = rendered(study)
    write_text(DOCS / f"study-{study.name}.json", as_json(study))
    for path, text in texts.items():
        write_text(path, text)
    for path in (DOCS / "images").glob(f"study-{study.name}-*.svg"):
        if path not in texts:
            path.unlink()


def merged(published: Study, measured: Study, parts: Collection[str]) -> Study:
    """Return a published study with some parts, and their rows, as they were measured anew."""
    from mho.studies import Study

    content, fresh = published.to_dict(), measured.to_dict()
    anew = {part["id"]: part for part in fresh["parts"] if part["id"] in parts}
    content["parts"] = [anew.get(part["id"], part) for part in content["parts"]]
    rows = {row["id"]: row for row in content["rows"] if row["id"].split("/")[0] not in anew}
    told = {row["id"]: row for row in fresh["rows"] if row["id"].split("/")[0] in anew}
    known = [row["id"] for row in content["rows"]]
    content["rows"] = [(rows | told)[name] for name in dict.fromkeys([*known, *told]) if name in rows or name in told]
    content["chips"] |= fresh["chips"]
    return Study.from_dict(content)


def publish_chapters(chapters: Callable[[Work], Iterable[Chapter]], *, measures: bool = True) -> None:
    """Measure some chapters of the study of ARAS, and publish them in the study that is there.

    Where it does not measure, what was measured before is told again.
    """
    from mho.studies import Study
    from mho.studies.aras import coherent_chips
    from mho.studies.work import Settings, Work

    folder = SCRATCH.parent / "study-aras"
    folder.mkdir(parents=True, exist_ok=True)
    made = tuple(
        chapters(Work("aras", Settings(), folder, lambda text: print(text, file=sys.stderr), measures=measures))
    )
    parts = tuple(chapter.finished() for chapter in made)
    rows = tuple(row for chapter in made for row in chapter.rows.values())
    alone = Study("aras", "", "", coherent_chips(), {}, (), parts, rows)
    publish(merged(kept("aras"), alone, [part.id for part in parts]))


def main(arguments: list[str] | None = None) -> int:
    """Measure or render."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study",
        description="Run a study on the paper's networks and on real data; writes docs/study-NAME.md, .json and plots.",
        epilog="The data are found in the folder MHO_DATA, else in ../shared/data.",
    )
    parser.add_argument("--only", metavar="NAME", choices=NAMES, help=f"this study alone: {', '.join(NAMES)}")
    parser.add_argument("--render", action="store_true", help="write page and plots again from docs/study-NAME.json")
    parser.add_argument("--constants", action="store_true", help="of study aras, measure the part on constants alone")
    parser.add_argument(
        "--zoo",
        action="store_true",
        help="of study aras, measure what is on networks of the zoo alone, at the chips' own constants",
    )
    chosen = parser.parse_args(arguments)
    if (chosen.zoo or chosen.constants) and (chosen.zoo == chosen.constants or chosen.only not in (None, "aras")):
        parser.error("--zoo and --constants are parts of study aras, one at a time")
    if chosen.zoo or chosen.constants:
        from mho.studies.aras import of_zoo, under_constants

        chapters = of_zoo if chosen.zoo else lambda work: (under_constants(work),)
        publish_chapters(chapters, measures=not chosen.render)
        return 0
    for name in NAMES if chosen.only is None else (chosen.only,):
        if chosen.render:
            publish(kept(name))
            continue
        from benchmarks.accuracy import data_folder
        from mho import studies

        def say(text: str) -> None:
            sys.stderr.write(f"{text}\n")

        publish(studies.run(name, SCRATCH.parent / f"study-{name}", data=data_folder(), say=say))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the next call goes on from here\n")
        sys.exit(130)
