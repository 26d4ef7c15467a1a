"""Text files of look-ups as they lie around: which separator, whether a header, gzip or not, and where a record stands.

What is told (`Form`) comes from the first lines; what is read are columns of bytes, block by block, as pyarrow's reader cuts them.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from mho.errors import TraceError
from mho.network.trace.columns import LineOptions

HEAD = 1 << 16
"""Bytes by which the form of a file is told."""
HEAD_LINES = 50
LEAST_BLOCK, LARGEST_BLOCK = 1 << 18, 1 << 30
"""Bytes of text that are taken at once; the least is also the longest line that is sure to be read."""
LONGEST_LINE = 1 << 24
"""Characters of a basket, at most."""
SEPARATORS = ("\t", "::", ";", "|", ",", " ")
"""Those that are told from the text itself; of two that would do the earlier. A space is taken where no other would do."""
WORDS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
INSIDE = "\x1f"
"""What stands for a separator of several characters: the unit separator of ASCII, which no text holds."""
RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
"""How pyarrow says that a line has other fields than the first."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
KINDS = (
    (b"PK\x03\x04", "a zip archive (or a spreadsheet): unpack it, or save it as CSV"),
    (b"PAR1", "a Parquet file: let its name end in .parquet"),
    (b"\x93NUMPY", "a single numpy array: save it by name with numpy.savez"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unpack it first"),
    (b"BZh", "packed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "packed by xz: unpack it first"),
    (b"\xff\xfe", "in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "in UTF-16: save it as UTF-8"),
)


def separator_of(option: str, file: str) -> str:
    """Return the separator that an option means: a word (tab, space ...) or the characters themselves."""
    separator = WORDS.get(option, option)
    if not separator or len(separator) > 8 or re.search(r'[\w"\r\n]', separator) or not separator.isascii():
        raise TraceError(
            f"{file}: --separator {option!r} separates nothing; give one to 8 characters that are no letters or digits, "
            f"or one of {', '.join(sorted(WORDS))}"
        )
    return separator


@dataclass(frozen=True)
class Form:
    """The layout of a text file.

    `columns`: the names in its header, or numbers from 1 on where it has none. `header`: whether its first line names columns.
    `skipped`: lines before the first record, blank ones included. `ragged`: lines do not have the same number of fields.
    """

    separator: str
    columns: tuple[str, ...]
    header: bool
    skipped: int
    ragged: bool = False


@dataclass(frozen=True)
class TextFile:
    """A text file whose lines are records of fields, gzip-compressed or not; `options`: what is told of its form.

    `holds`: what a record stands for, as a refusal calls it.
    """

    path: Path
    options: LineOptions
    holds: str = "look-ups"

    @cached_property
    def zipped(self) -> bool:
        """Return whether the file is gzip-compressed, by its first bytes, not its name."""
        with open(self.path, "rb") as stream:
            return stream.read(2) == b"\x1f\x8b"

    def open(self) -> Any:
        """Open the bytes of the text."""
        return gzip.open(self.path, "rb") if self.zipped else open(self.path, "rb")

    @cached_property
    def _head(self) -> list[str]:
        """Return the first lines, without their ends. Raises TraceError for what is no text."""
        with self.open() as stream:
            head = stream.read(HEAD)
            whole = len(head) < HEAD
        if not head:
            raise TraceError(f"{self.path}: is empty")
        for magic, what in KINDS:
            if head.startswith(magic):
                raise TraceError(f"{self.path}: is {what}")
        if b"\0" in head:
            raise TraceError(f"{self.path}: is no text: it holds bytes of 0")
        text = head.decode("utf-8-sig", errors="replace")
        if text.lstrip().startswith(("{", "[")):
            raise TraceError(f"{self.path}: looks like JSON; in text, {self.holds} stand on lines of their own")
        lines = io.StringIO(text, newline=None).read().split("\n")
        return lines if whole or len(lines) == 1 else lines[:-1]

    @cached_property
    def form(self) -> Form:
        """Return how the file is laid out. Raises TraceError where that cannot be told, with the option that says it."""
        blank = next((at for at, line in enumerate(self._head) if line.strip()), None)
        if blank is None:
            raise TraceError(f"{self.path}: is empty")
        lines = [line for line in self._head if line.strip()][:HEAD_LINES]
        separator = self._separator(lines)
        fields = [split(line, separator) for line in lines]
        header = self.options.header
        header = not self.options.basket and self._header(fields) if header is None else header
        data = fields[1:] if header else fields
        # Lines that all end in a separator have a field more than their header, and nothing in it.
        trailing = bool(data) and header and all(len(line) == len(fields[0]) + 1 and not line[-1] for line in data)
        width = len(fields[0]) + trailing
        names = (*fields[0], *[""] * trailing) if header else tuple(str(at + 1) for at in range(width))
        ragged = any(len(line) != width for line in data)
        return Form(separator, tuple(name.strip() for name in names), header, blank + header, ragged)

    def _separator(self, lines: Sequence[str]) -> str:
        if self.options.separator is not None:
            return separator_of(self.options.separator, str(self.path))
        usual = "\t" if ".tsv" in self.path.suffixes else "," if ".csv" in self.path.suffixes else None
        candidates = sorted(SEPARATORS, key=lambda mark: mark != usual)
        if self.options.basket:
            uses = {mark: sum(mark in line.strip() for line in lines) for mark in candidates[:-1]}
            best = max(uses, key=lambda mark: uses[mark])
            return best if uses[best] else " "
        names = {name for name in self.options.names() if not name.isdecimal()} or {"query", "row"}
        widths = {mark: [len(split(line, mark)) for line in lines] for mark in candidates}
        for mark in candidates:
            if names <= {name.strip() for name in split(lines[0], mark)}:
                return mark
        even = [mark for mark in candidates if len(set(widths[mark])) == 1 and widths[mark][0] > 1]
        chosen = [mark for mark in even if mark != " "] or even
        if chosen:
            return max(chosen, key=lambda mark: widths[mark][0])
        return max((mark for mark in candidates if mark != " "), key=lambda mark: sum(widths[mark]))

    def _header(self, fields: Sequence[Sequence[str]]) -> bool:
        """Tell whether the first line names columns."""
        first, rest = [field.strip() for field in fields[0]], fields[1:]
        requested = self.options.names()
        if any(not name.isdecimal() and not re.fullmatch(r"[\d,-]+", name) for name in requested):
            return True
        if not requested and {"query", "row"} <= set(first):
            return True
        shown = ", ".join(first)[:60]
        unsure = f"{self.path}: its first line may name columns or be a record ({shown}); give --header or --no-header"
        if len(first) > 1 and first == [str(at) for at in range(len(first))]:
            raise TraceError(unsure)
        if any(NUMBER.fullmatch(field) for field in first):
            return False
        columns = zip(*rest, strict=False)
        if any(all(NUMBER.fullmatch(field.strip()) for field in column) for column in columns) and rest:
            return True
        if requested:
            raise TraceError(unsure)
        return False

    def line(self, record: int) -> int:
        """Return the line, from 1 on, in which a record (from 0 on) begins. Reads the file again."""
        blank = self.form.skipped - self.form.header
        target, current, within = record + self.form.header, -1, False
        with self._text() as stream:
            for number, line in enumerate(stream, 1):
                if not within and number > blank and line.strip("\n"):
                    current += 1
                    if current == target:
                        return number
                within ^= line.count('"') % 2 == 1
        return target + 1

    def batches(self, columns: Sequence[int], block: int) -> Iterator[tuple[Any, int]]:
        """Read columns, by number from 0 on, as arrow arrays of bytes: record batches of up to `block`, and the first one's number.

        TraceError names the line that has other than the header's number of fields.
        """
        import pyarrow as pa
        from pyarrow import csv as arrow

        form = self.form
        names = [f"c{at}" for at in range(len(form.columns))]
        options = {
            "read_options": arrow.ReadOptions(
                use_threads=False,
                # No line of a trace is longer than a few numbers; 16 bytes a look-up is about what they take.
                block_size=min(max(16 * block, LEAST_BLOCK), LARGEST_BLOCK),
                column_names=names,
                skip_rows=form.skipped,
            ),
            "parse_options": arrow.ParseOptions(
                delimiter=form.separator if len(form.separator) == 1 else INSIDE,
            ),
            "convert_options": arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), include_columns=[names[at] for at in columns]
            ),
        }
        first = 0
        try:
            with self._stream() as stream, arrow.open_csv(stream, **options) as reader:
                for batch in reader:
                    # A block of text is many times larger than `block` lines where lines are short.
                    for start in range(0, batch.num_rows, block):
                        lines = batch.slice(start, block)
                        yield lines, first
                        first += lines.num_rows
        except pa.ArrowInvalid as error:
            raise TraceError(self._refusal(str(error))) from None
        if not first:
            raise TraceError(f"{self.path}: has no {self.holds}")

    def _refusal(self, message: str) -> str:
        """Say what the reader could not read, from what it says of it."""
        form, wrong = self.form, RAGGED.search(message)
        if wrong is None:
            if sum(1 for line in self._head if line.strip()) == form.header:
                return f"{self.path}: has no {self.holds}"
            return f"{self.path}: has a line of more than {LEAST_BLOCK} characters; is it text, {self.holds} on lines of their own?"
        row, _, fields = map(int, wrong.groups())
        line = self.line(row - 1 - form.skipped)
        of = "the header" if form.header else "the first line"
        hint = "; one basket a line? give --basket" if form.ragged and self.holds == "look-ups" else ""
        return f"{self.path}: line {line}: has {fields} fields, {of} {len(form.columns)} (separator {form.separator!r}){hint}"

    @contextlib.contextmanager
    def _stream(self) -> Iterator[Any]:
        """Open what the reader reads: the path where it can, else a stream with separators of one character."""
        import pyarrow as pa

        translated = len(self.form.separator) > 1 or self.form.separator == " "
        if not (translated or self.zipped or self.path.suffix in (".gz", ".bz2", ".zst", ".lz4", ".br")):
            yield str(self.path)
            return
        with self.open() as stream:
            source = _Translated(stream, self.form.separator.encode()) if translated else stream
            yield pa.PythonFile(source, mode="r")

    def _text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self.open(), encoding="utf-8-sig", errors="replace")

    def lines(self, block: int) -> Iterator[tuple[list[str], int]]:
        """Read whole lines but blank ones and the header, some `block` characters at once, and the number of the first."""
        first, header = 0, self.form.header
        with self._text() as stream:
            while characters := stream.read(max(block, LEAST_BLOCK)):
                characters += stream.readline(LONGEST_LINE)
                if len(characters) > LONGEST_LINE and "\n" not in characters[-LONGEST_LINE:]:
                    raise TraceError(
                        f"{self.path}: has a line of more than {LONGEST_LINE} characters, which is no basket"
                    )
                lines = [line for text in characters.split("\n") if (line := text.strip())]
                lines, header = (lines[1:], False) if header and lines else (lines, header)
                if lines:
                    yield lines, first
                    first += len(lines)


class _Translated:
    """A stream of bytes in which every separator is one character: those of several are replaced, runs of spaces made one."""

    closed = False

    def __init__(self, stream: IO[bytes], separator: bytes) -> None:
        self.stream, self.separator = stream, separator

    def read(self, size: int) -> bytes:
        """Read whole lines, of at most so many bytes together; a line of more than half of that in parts."""
        characters = self.stream.read(max(size // 2 - 16, 1))
        characters += self.stream.readline(size // 2)
        while characters.endswith(self.separator[:1]) and (more := self.stream.read(1)):
            characters += more
        if self.separator == b" ":
            return re.sub(rb"(?m)^ | $| (?=\r)", b"", re.sub(rb"[ \t]+", b" ", characters))
        return characters.replace(self.separator, INSIDE.encode())

    def close(self) -> None:
        """Do nothing: whoever opened the file closes it."""
        self.closed = True


def split(line: str, separator: str) -> list[str]:
    """Cut a line into fields; a field in quotes may hold the separator."""
    if separator == " ":
        return line.split()
    if '"' not in line:
        return line.split(separator)
    if len(separator) > 1:
        line, separator = line.replace(separator, INSIDE), INSIDE
    return next(csv.reader([line], delimiter=separator), [])
