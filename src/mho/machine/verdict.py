"""What is said of two designs whose constants are not sure: decided, or undecided with what flips it."""

from __future__ import annotations

from dataclasses import dataclass

from mho.engineering import percent

ENERGY, AREA = "energy", "area"


@dataclass(frozen=True)
class Flip:
    """Where one constant alone makes two programs equal, or the alternative that turns them round."""

    constant: str
    at: str
    usual: str
    range: str

    def __str__(self) -> str:
        """Say it."""
        if not self.range:
            return f"{self.at} in place of {self.usual}"
        return f"{self.constant} {self.at} (here {self.usual}; published {self.range})"


@dataclass(frozen=True)
class Verdict:
    """Whether one program takes less energy (or area: `what`) than another, whatever the constants within their ranges.

    `least` and `most`: the ends of what it saves in J (m2). `flips`: the constants that alone turn the answer round, within their
    ranges. `share`: of the draws, those in which it takes less.
    """

    first: str
    second: str
    saving: float
    least: float
    most: float
    flips: tuple[Flip, ...]
    share: float
    what: str = ENERGY

    @property
    def decided(self) -> bool:
        """True where the sign is the same over all ranges, or both are equal over all of them."""
        return self.least > 0 or self.most < 0 or self.least == self.most

    def __str__(self) -> str:
        """Say it in a line."""
        if self.least == self.most == 0:
            return f"{self.first} takes the same {self.what} as {self.second}: decided, it is the same over all published ranges"
        more = "less" if self.saving > 0 else "more"
        said = f"{self.first} takes {percent(abs(self.saving), 1.0)} {more} {self.what} than {self.second}"
        if self.decided:
            return f"{said}: decided, the sign holds over all published ranges"
        if not self.flips:
            return (
                f"{said}: undecided, several constants together turn it round; so in {percent(self.share, 1)} of draws"
            )
        flips = "; or ".join(map(str, self.flips))
        return f"{said}: undecided, flips at {flips}; {self.first} takes less in {percent(self.share, 1)} of draws"
