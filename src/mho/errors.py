"""Every exception that mho raises on purpose, as one tree.

MhoError                       anything the user can put right; the command line prints it in one line, exit code 2
├── ChipError                  a chip or technology file: file, key and what is allowed
├── NetworkError               a network file or graph: file, node and what is known
├── TraceError                 a trace of look-ups, or a log of clicks: file, line or row, and what is allowed
├── WeightError                weights that do not fit a network, or are not finite
├── NumberError                quantisation: codes, calibration samples
├── MappingError               a layer that cannot be placed on the chip
├── ProgramError               a program file that cannot be read, or a program that is illegal
├── AnalogError                a description of converters, wires and noise: file, key and what is allowed
├── DeviceError                a device's file, or a device used where it is not valid
├── OptionError                an option or argument that does not exist or is out of range
│   └── StrategyError          a choice that a network, a chip or another choice does not allow: field, value, what is demanded
├── PluginError                a package that adds to mho, and fails
└── OutputError                a file or folder that cannot be written
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

LISTED = 20
"""More names than these are not listed where near ones can be told."""


_OTHER = re.compile("`([a-z_]+)`")
LONGEST_VALUE = 60
"""Characters of a value that a refusal repeats."""
LONGEST = 300
"""Characters of the one line that tells a mistake."""
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal obeys instead of showing them: controls, ends of lines, turned directions; and halves of characters,
which no stream takes."""


def printable(text: str, *, lines: bool = False) -> str:
    """Return a text with characters that a terminal would obey as their escapes; with `lines`, ends of lines stay."""
    return _COMMANDS.sub(lambda match: "\n" if lines and match[0] == "\n" else ascii(match[0])[1:-1], text)


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text as one line: printable, and cut in its middle, so that it begins with where and ends with what is allowed."""
    line = " ".join(printable(text).split())
    if len(line) <= longest:
        return line
    tail = longest // 3
    return f"{line[: longest - tail - 3]}...{line[-tail:]}"


class MhoError(Exception):
    """Something that the user of mho can put right. Its text is one line: what was wrong, where, what is allowed."""

    def __init__(self, text: str = "") -> None:
        # Names and keys of a user's file stand in it, and may hold anything, the end of a line too.
        super().__init__(printable(text))


class ChipError(MhoError):
    """A chip or technology file is wrong."""


class NetworkError(MhoError):
    """A network cannot be imported or is inconsistent."""


class TraceError(MhoError):
    """A trace of embedding look-ups, or a log of clicks, is wrong."""


class WeightError(MhoError):
    """Weights do not fit the network, or are not finite."""


class NumberError(MhoError):
    """A network cannot be quantised as asked."""


class MappingError(MhoError):
    """A layer cannot be placed on the chip."""


class ProgramError(MhoError):
    """A program file cannot be read, or a program is illegal."""


class AnalogError(MhoError):
    """A description of the analog side of an array is wrong, or does not fit the chip."""


class DeviceError(MhoError):
    """A device's file is wrong, or a device is used where it is not valid."""


class OptionError(MhoError):
    """An option or argument does not exist or is out of range."""


class PluginError(MhoError):
    """A package that adds mappings, device laws, layers or operators to mho cannot be loaded."""


SUBJECT = "subject"
"""What bounds a choice that is for networks where tables are asked for, or the other way round."""


class StrategyError(OptionError):
    """A choice of a strategy that does not exist, or that the network, the chip or another choice does not allow.

    `field` is the stage, or stage.setting; `value` what was given; `demanded` says what it must be or needs; `bound` is what
    bounds it (a range, a part of the chip, another field), `helps` what would help. `option` names the field on the command line
    where that is not its own name. Other fields stand in both texts as `name`, which each door writes in its own way.
    """

    def __init__(
        self,
        field: str,
        value: object,
        demanded: str,
        *,
        bound: object = None,
        helps: str = "",
        option: str | None = None,
    ) -> None:
        self.field, self.value, self.demanded, self.bound, self.helps = field, value, demanded, bound, helps
        self.name = field.rpartition(".")[2]
        self.option = option or self.name
        super().__init__(self._said(self.name, "{}", repr))

    def written(self) -> str:
        """Say it as the command line writes its options."""
        return self._said(f"--{self.option.replace('_', '-')}", "--{}", str)

    def _said(self, name: str, other: str, shown: Callable[[object], str]) -> str:
        """Say it in a line, with the field under a name, and other fields as `other` writes them."""
        value = ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else shown(self.value)
        value = "" if self.value is True or self.value in ("", ()) else f" {one_line(value, LONGEST_VALUE)}"
        text = f"{self.demanded}{f'; {self.helps}' if self.helps else ''}"
        text = _OTHER.sub(lambda match: other.format(match[1].replace("_", "-" if "-" in other else "_")), text)
        return f"{name}{value}: {text}"


class OutputError(MhoError):
    """A file or folder cannot be written."""


def choices(given: str, allowed: Iterable[str]) -> str:
    """Say what is allowed where `given` is not, the nearest names first."""
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    if near and len(names) > LISTED:
        return f"did you mean {' or '.join(near)}?"
    listing = ", ".join(names)
    return f"did you mean {' or '.join(near)}? (known: {listing})" if near else f"known: {listing}"
