"""Every Python block of the tutorials, and of the pages on streams and extending, runs as it stands beside the samples, and prints
what `#>` says.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mho
from mho.plugins import Registry
from mho.samples import write_samples
from mho.strategy import STAGES, registered
from mho.strategy.choice import _REGISTERED

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("start", "tutorial-chip", "tutorial-device", "tutorial-recommender", "extending", "stream")


@pytest.mark.parametrize("page", PAGES)
def test_its_blocks_run_and_print_what_they_say(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_samples(tmp_path / "samples")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    variables: dict[str, object] = {"__name__": page}
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec", dont_inherit=True), variables)
        out = capsys.readouterr().out
        for printed in re.findall(r"^# ?> (.*)$", block, flags=re.MULTILINE):
            assert printed in out, (page, block, out)
    assert blocks


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a page adds is taken out again."""
    before = {id(each): (each, dict(each._choices)) for each in gc.get_objects() if type(each) is Registry}
    for stage in STAGES:
        registered(stage)  # those of mho are there before
    stages = {stage: dict(kinds) for stage, kinds in _REGISTERED.items()}
    yield
    for stage, kinds in stages.items():
        _REGISTERED[stage] = kinds
    for registry, choices in before.values():
        registry._choices = choices


def test_the_reference_has_every_public_name() -> None:
    page = (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", page, flags=re.MULTILINE)}
    assert named == set(mho.__all__) - {"__version__", "zoo"}


def test_every_page_has_a_place_in_the_site() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    places = set(re.findall(r": (\S+\.md)$", navigation, flags=re.MULTILINE))
    assert places == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
