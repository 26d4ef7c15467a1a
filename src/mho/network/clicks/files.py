"""Reading clicks from files: the format is told by the end of the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from mho.errors import TraceError, choices
from mho.files.text import check_regular
from mho.network.clicks.clicks import Clicks
from mho.network.clicks.lines import CRITEO, ClickFile, ClickOptions
from mho.network.clicks.npz import ClickArrays
from mho.network.trace.record_file import PARQUET
from mho.network.trace.trace import SUFFIX

FORMS = {"table": ClickOptions(), "criteo": CRITEO}
"""What a text file may be without saying so itself: a table with a header, or a log in Criteo's format."""
ARRAYS = ("label", "fold", "shares", "seed")
"""Options that say something for .npz files."""
DRAWING = ("shares", "seed")


class Options(TypedDict, total=False):
    """The options of `ClickOptions`; None: as it has them."""

    label: str | None
    field: str | Sequence[str] | None
    numeric: str | Sequence[str] | None
    ignored: str | Sequence[str] | None
    fold: str | None
    buckets: int | None
    least: int | None
    shares: Sequence[float] | None
    seed: int | None
    separator: str | None
    header: bool | None


def read(path: str | Path, *, form: str | None = None, **options: Unpack[Options]) -> Clicks:
    """Read clicks from a .npz, .parquet or text file (CSV, TSV and their like, gzip-compressed or not).

        Clicks.load("census_income.npz")
        Clicks.load("log.csv", label="clicked", numeric=["age", "price"], seed=3)
        Clicks.load("log.parquet", fold="split")
        Clicks.load("day_0.gz", form="criteo")

    `form`: "table" or "criteo", of text files. `options`: see `ClickOptions` and docs/clicks.md. Raises TraceError with file, and
    line or record; options that would change nothing are refused.
    """
    path = Path(path)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    check_regular(path, TraceError)
    arrays, parquet = path.suffix == SUFFIX, path.suffix in PARQUET
    if form is not None and form not in FORMS:
        raise TraceError(f"{path}: no form {form!r}; {choices(form, FORMS)}")
    allowed = [item.name for item in fields(ClickOptions)]
    kind = "a text"
    if arrays:
        allowed, kind = list(ARRAYS), "a .npz"
    elif parquet:
        allowed, kind = [name for name in allowed if name not in ("separator", "header")], "a Parquet"
    elif form == "criteo":
        allowed, kind = ["buckets", "least", *DRAWING], "a Criteo"
    if form is not None and (arrays or parquet):
        raise TraceError(f"{path}: --form {form} is for text files")
    for name in given:
        if name not in allowed:
            raise TraceError(f"{path}: {name!r} says nothing for {kind} file; there are {', '.join(allowed)}")
    if "fold" in given and (drawing := next((name for name in DRAWING if name in given), None)):
        raise TraceError(f"{path}: {drawing!r} draws folds, which {given['fold']!r} tells")
    asked = replace(FORMS[form or "table"], **given)
    source = ClickArrays(path, asked) if arrays else ClickFile.of(path, asked)
    if (
        isinstance(source, ClickArrays)
        and source.folded
        and (drawing := next((name for name in DRAWING if name in given), None))
    ):
        raise TraceError(f"{path}: {drawing!r} draws folds, which the file tells itself")
    return source.clicks()


__all__ = ["FORMS", "Options", "read"]
