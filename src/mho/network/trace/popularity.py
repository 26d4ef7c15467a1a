"""Laws of popularity: how likely each of a table's rows is to be looked up, the most popular first."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import yaml

from mho.errors import TraceError, choices

Shares = npt.NDArray[np.float64]
META = "meta-dlrm-2021"


class Popularity(Protocol):
    """A law of popularity; its text goes into the origin of what it makes."""

    def shares(self, rows: int) -> Shares:
        """Return each row's share of the look-ups, not rising, of sum 1: (rows,)."""

    def __str__(self) -> str:
        """Say which law."""


@dataclass(frozen=True)
class Uniform:
    """The law by which every row is equally popular."""

    def shares(self, rows: int) -> Shares:
        """Return each row's share of the look-ups: (rows,)."""
        weights: Shares = np.full(rows, 1 / rows)
        return weights

    def __str__(self) -> str:
        """Say which law."""
        return "uniform"


@dataclass(frozen=True)
class Zipf:
    """The law of Zipf: the row of rank r (from 1 on) in proportion to r ** -exponent. TraceError if not finite, or below 0."""

    exponent: float = 1.0

    def __post_init__(self) -> None:
        """Check the exponent."""
        if not 0 <= self.exponent < math.inf:
            raise TraceError(f"the exponent of zipf is a number of at least 0, not {self.exponent}")

    def shares(self, rows: int) -> Shares:
        """Return each row's share of the look-ups: (rows,)."""
        weights: Shares = np.arange(1, rows + 1, dtype=np.float64) ** -self.exponent
        weights /= weights.sum()
        return weights

    def __str__(self) -> str:
        """Say which law."""
        return f"zipf {self.exponent:g}"


@dataclass(frozen=True)
class Reuse:
    """Rows as unevenly popular as a histogram of reuse tells: `lookups[i]` of the look-ups go to rows looked up more than
    `above[i]` times, up to `above[i + 1]`.

    Within a bin reuse is taken for log-uniform (our assumption), the last bin ends at twice its edge (our assumption). A row of
    rank j of R has the reuse of the quantile (j + 1/2) / R: a table of few rows lacks the bins that hold less than a row.
    TraceError where edges do not rise from 0, or shares are negative or do not sum to about 1 (they are printed rounded).
    """

    above: tuple[int, ...]
    lookups: tuple[float, ...]
    name: str = "given"

    def __post_init__(self) -> None:
        """Check the bins."""
        if len(self.above) != len(self.lookups) or self.above[:1] != (0,) or (np.diff(self.above) < 1).any():
            raise TraceError(f"reuse {self.name}: its bins must begin at 0 and rise, with a share of the look-ups each")
        if min(self.lookups) < 0 or abs(sum(self.lookups) - 1) > 0.02:
            raise TraceError(f"reuse {self.name}: the shares of the look-ups must be from 0 on, and 1 together")

    @property
    def _ends(self) -> tuple[int, ...]:
        return (*self.above[1:], 2 * max(self.above[-1], 1))

    def row_shares(self) -> Shares:
        """Return the share of the rows looked up that each bin holds: look-ups over mean reuse."""
        rows = np.asarray(self.lookups) / [_mean(a, b) for a, b in zip(self.above, self._ends, strict=True)]
        shares: Shares = rows / rows.sum()
        return shares

    def shares(self, rows: int) -> Shares:
        """Return each row's share of the look-ups: (rows,)."""
        ends = np.concatenate([[0], np.cumsum(self.row_shares())])
        at = (np.arange(rows)[::-1] + 0.5) / rows
        bins = np.clip(np.searchsorted(ends, at, side="right") - 1, 0, len(self.above) - 1)
        within = (at - ends[bins]) / (ends[bins + 1] - ends[bins])
        low, high = np.maximum(self.above, 1)[bins], np.asarray(self._ends)[bins]
        weights: Shares = np.maximum(np.ceil(low * (high / low) ** within), low + (np.asarray(self.above)[bins] > 0))
        weights /= weights.sum()
        return weights

    def __str__(self) -> str:
        """Say which law."""
        return f"reuse {self.name}"

    @classmethod
    def load(cls, name: str = META) -> Reuse:
        """Return a histogram that mho brings, or that a text file like locality_stats.txt of dlrm_datasets begins with."""
        known = _known()
        if name in known:
            return cls(tuple(known[name]["above"]), tuple(known[name]["lookups"]), name)
        if not Path(name).is_file():
            raise TraceError(f"reuse: {name!r} is no file, nor known; {choices(name, known)}")
        return read_locality(name)


def _mean(above: int, to: int) -> float:
    """Return the mean of the next whole number above a log-uniform one between `above` and `to`."""
    if above == 0:
        return 1.0
    whole = np.arange(above + 1, to + 1, dtype=np.float64)
    return float((whole * np.log(whole / (whole - 1))).sum() / math.log(to / above))


@cache
def _known() -> dict[str, Any]:
    laws: dict[str, Any] = yaml.safe_load((files("mho.network.trace") / "reuse.yaml").read_text(encoding="utf-8"))
    return laws


def read_locality(path: str | Path, section: str | None = None) -> Reuse:
    """Read the shares of look-ups by reuse from a text file such as locality_stats.txt of dlrm_datasets.

    `section`: the line that names the trace, without ".pt"; the first one if None. Raises TraceError naming file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise TraceError(f"{path}: cannot be read: {reason}") from None
    heads = {
        line.strip().removesuffix(".pt"): number for number, line in enumerate(lines) if line.strip().endswith(".pt")
    }
    if not heads:
        raise TraceError(f"{path}: line 1: no line names a trace (it ends in .pt)")
    if section is not None and section not in heads:
        raise TraceError(f"{path}: no trace {section!r}; {choices(section, heads)}")
    name = next(iter(heads)) if section is None else section
    stop = min((number for number in heads.values() if number > heads[name]), default=len(lines))
    start = next((at for at in range(heads[name], stop) if lines[at].startswith("Ratio of index")), None)
    if start is None:
        raise TraceError(f"{path}: line {heads[name] + 1}: {name} has no 'Ratio of index distribution'")
    above: list[int] = []
    lookups: list[float] = []
    for number in range(start + 1, stop):
        match = re.fullmatch(r"\((\d+)(?:, (\d+)\]|\+): (\d+(?:\.\d+)?)", lines[number].strip())
        if match is None:
            if not above or lines[number].startswith("("):
                raise TraceError(f"{path}: line {number + 1}: no bin such as '(1, 2]: 0.044'")
            break
        above.append(int(match[1]))
        lookups.append(float(match[3]))
    return Reuse(tuple(above), tuple(lookups), f"{path.name} {name}")


def popularity(text: str | Popularity) -> Popularity:
    """Return a law given as text: uniform, zipf, zipf:EXPONENT, reuse, or reuse:NAME or FILE. TraceError where there is none."""
    if not isinstance(text, str):
        return text
    law, _, argument = text.partition(":")
    if law == "uniform" and not argument:
        return Uniform()
    if law == "zipf":
        try:
            return Zipf(float(argument or 1.0))
        except ValueError:
            raise TraceError(f"popularity: the exponent of zipf is a number, not {argument!r}") from None
    if law == "reuse":
        return Reuse.load(argument or META)
    raise TraceError(
        f"popularity: {text!r} is no law; there are uniform, zipf, zipf:EXPONENT, reuse, reuse:NAME or reuse:FILE"
    )
