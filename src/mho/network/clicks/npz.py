"""Clicks in .npz files: ids, labels and folds as arrays, as `Clicks.save` writes them and as data sets come."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError, choices
from mho.files.archive import Npz
from mho.network.clicks.clicks import FOLDS, MOST_FIELDS, MOST_VALUES, Clicks, drawn_folds
from mho.network.clicks.lines import ClickOptions
from mho.network.trace.columns import ALIKE
from mho.network.trace.trace import Ids

IDS, LABELS, FOLD = "x", "y", "fold"
KNOWN = (
    IDS,
    LABELS,
    FOLD,
    "rows",
    "fields",
    "origin",
    "synthetic",
    *(f"{name}_{x}" for name in FOLDS for x in (IDS, LABELS)),
)


@dataclass(frozen=True)
class ClickArrays:
    """A .npz file as a log: arrays x (records, fields), y and fold (records,), or train_x, train_y, valid_x ... of each fold.

    `asked.label`: the array of labels in the place of y; where there is no array fold, folds are drawn by `asked.seed`. An array
    `fields` names the fields, `rows` tells the rows of their tables, which else go up to the highest that is there.
    """

    path: Path
    asked: ClickOptions

    @cached_property
    def arrays(self) -> Npz:
        """Return the arrays."""
        return Npz(self.path, TraceError)

    @property
    def apart(self) -> bool:
        """Return whether each fold has arrays of its own."""
        return f"{FOLDS[0]}_{IDS}" in self.arrays

    @property
    def folded(self) -> bool:
        """Return whether the file tells the folds."""
        return self.apart or FOLD in self.arrays

    def clicks(self) -> Clicks:
        """Read the log. Raises TraceError naming the array, or the record (from 0)."""
        self._check_slips()
        x, y, fold = self._apart() if self.apart else self._together()
        drawn = fold is None
        if fold is None:
            fold = drawn_folds(len(y), self.asked.shares, self.asked.seed, str(self.path))
        rows = tuple(int(count) for count in self._known("rows", "iu", x.max(axis=0).astype(np.int64) + 1))
        names = tuple(str(name) for name in self._known("fields", "U", [f"field{at}" for at in range(x.shape[1])]))
        origin = str(self._known("origin", "U", self.path.name))
        synthetic = bool(self._known("synthetic", "b", False))
        note = f", folds drawn by seed {self.asked.seed}" if drawn else ""
        return Clicks(x, y, fold, rows, names, f"{origin}{note}", synthetic, self._ids(x.shape[1]))

    def _apart(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Read a pair of arrays for each fold."""
        for option, value in (("label", self.asked.label), ("fold", self.asked.fold)):
            if value is not None:
                raise TraceError(f"{self.path}: has arrays of each fold; --{option} says nothing for it")
        parts = [(self._x(f"{name}_{IDS}"), self._y(f"{name}_{LABELS}")) for name in FOLDS]
        if len({x.shape[1] for x, _ in parts}) > 1:
            raise TraceError(f"{self.path}: folds have different numbers of fields: {[x.shape[1] for x, _ in parts]}")
        for name, (x, y) in zip(FOLDS, parts, strict=True):
            if len(x) != len(y):
                raise TraceError(f"{self.path}: fold {name} has {len(x)} records, but {len(y)} labels")
        fold = np.repeat(np.arange(len(FOLDS), dtype=np.uint8), [len(y) for _, y in parts])
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]), fold

    def _together(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
        """Read arrays of all records."""
        x, y = self._x(IDS), self._y(self.asked.label or LABELS)
        name = self.asked.fold or (FOLD if FOLD in self.arrays else None)
        fold = None if name is None else self._small(name, len(FOLDS) - 1)
        for what, values in (("labels", y), ("folds", fold)):
            if values is not None and len(values) != len(x):
                raise TraceError(f"{self.path}: {len(x)} records, but {len(values)} {what}")
        return x, y, fold

    def _x(self, name: str) -> npt.NDArray[np.int32]:
        header = self._header(name, "iu", 2)
        if (
            not 1 <= header.shape[1] <= MOST_FIELDS
            or header.shape[0] * header.shape[1] > MOST_VALUES
            or not header.shape[0]
        ):
            raise TraceError(
                f"{self.path}: array {name!r} has shape {header.shape}; records are at least 1, fields 1 to {MOST_FIELDS}, "
                f"their product at most {MOST_VALUES}"
            )
        values = self.arrays[name]
        wrong = np.argwhere((values < 0) | (values > np.iinfo(np.int32).max))
        if len(wrong):
            at, column = map(int, wrong[0])
            raise TraceError(
                f"{self.path}: array {name!r}, record {at}: id {values[at, column]} is outside 0 to {np.iinfo(np.int32).max}"
            )
        return np.ascontiguousarray(values, dtype=np.int32)

    def _y(self, name: str) -> npt.NDArray[np.uint8]:
        return self._small(name, 1)

    def _small(self, name: str, most: int) -> npt.NDArray[np.uint8]:
        """Read whole numbers from 0 to `most`."""
        header = self._header(name, "iubf", 1)
        if header.shape[0] > MOST_VALUES:
            raise TraceError(
                f"{self.path}: array {name!r} has {header.shape[0]} values; at most {MOST_VALUES} are read"
            )
        values = self.arrays[name]
        wrong = np.flatnonzero(~np.isin(values, np.arange(most + 1)))
        if len(wrong):
            at = int(wrong[0])
            raise TraceError(
                f"{self.path}: array {name!r}, record {at}: {values[at]} is no whole number from 0 to {most}"
            )
        return values.astype(np.uint8)

    def _header(self, name: str, kinds: str, axes: int) -> Any:
        if name not in self.arrays:
            raise TraceError(f"{self.path}: no array {name!r}; {choices(name, self.arrays)}")
        header = self.arrays.headers[name]
        if header.dtype.kind not in kinds or header.ndim != axes:
            what = "ids, whole numbers (records, fields)" if axes == 2 else "numbers (records,)"
            raise TraceError(f"{self.path}: array {name!r} is {header.dtype} {header.shape}; it holds {what}")
        return header

    def _known(self, name: str, kinds: str, default: Any) -> Any:
        """Read what the file says of itself, or take the default where it says nothing."""
        if name not in self.arrays:
            return default
        header = self.arrays.headers[name]
        axes = 1 if name in ("rows", "fields") else 0
        if header.dtype.kind not in kinds or header.ndim != axes or header.size > MOST_VALUES:
            raise TraceError(f"{self.path}: array {name!r} is {header.dtype} {header.shape}, which it cannot be")
        return self.arrays[name]

    def _ids(self, fields: int) -> tuple[Ids, ...] | None:
        """Return what rows are called, in the arrays ids0, ids1 ... of all fields."""
        names = [f"ids{place}" for place in range(fields)]
        if not all(name in self.arrays for name in names):
            return None
        return tuple(self.arrays[name] for name in names if self._header(name, "iU", 1))

    def _check_slips(self) -> None:
        """Refuse an array that is left unread for what looks like a slip of the pen."""
        unread = [name for name in KNOWN if name not in self.arrays]
        for name in self.arrays:
            near = difflib.get_close_matches(name.lower(), unread, n=1, cutoff=ALIKE) if name not in KNOWN else []
            if near and name not in (self.asked.label, self.asked.fold):
                raise TraceError(f"{self.path}: array {name!r} is not known; did you mean {near[0]}?")


__all__ = ["ClickArrays"]
