"""The studies' pages: python -m benchmarks.study measures and writes docs/study-NAME.md, its JSON and its plots.

--render writes page and plots again from the JSON that is there. Interrupt it at will: the next call goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.drift import read_drift, sentence
from benchmarks.files import ROOT, SCRATCH, write_text

if TYPE_CHECKING:
    from mho.studies import Study

DOCS = ROOT / "docs"
NAMES = ("aras", "autorac", "basisn", "recross", "silicon", "sme")
HEAD = (
    "Made by `python -m benchmarks.study`, which runs `mho study {name}`; never edited by hand. The same as data: "
    "[study-{name}.json](study-{name}.json) (schema `mho.study/1`, [studies.md](studies.md)). {paper}."
)


def rendered(study: Study) -> dict[Path, str]:
    """Return the page and the plots of a study, by their paths."""
    from mho.studies import title
    from mho.studies.files import plots
    from mho.studies.page import markdown

    name = study.name
    head = HEAD.format(name=name, paper=study.paper)
    moved = sentence(name, read_drift())
    head = f"{head}\n\n{moved}" if moved else head
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


def publish_constants(*, measures: bool) -> None:
    """Measure the claims of ARAS under published constants alone, and publish them in the study that is there.

    Where it does not measure, events that were counted before are priced again.
    """
    from mho.studies import Study
    from mho.studies.aras import coherent_chips, under_constants
    from mho.studies.work import Settings, Work

    folder = SCRATCH.parent / "study-aras"
    folder.mkdir(parents=True, exist_ok=True)
    chapter = under_constants(
        Work("aras", Settings(), folder, lambda text: print(text, file=sys.stderr), measures=measures)
    )
    content, part = kept("aras").to_dict(), chapter.finished()
    alone = Study("aras", "", "", {}, {}, (), (part,), tuple(chapter.rows.values())).to_dict()
    others = [each for each in content["parts"] if each["id"] != part.id]
    place = next(number for number, each in enumerate(others) if each["id"] == "figure-17") + 1
    content["parts"] = [*others[:place], *alone["parts"], *others[place:]]
    content["chips"] |= coherent_chips()
    content["rows"] = [row for row in content["rows"] if not row["id"].startswith(f"{part.id}/")] + alone["rows"]
    publish(Study.from_dict(content))


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
    chosen = parser.parse_args(arguments)
    if chosen.constants:
        publish_constants(measures=not chosen.render)
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
