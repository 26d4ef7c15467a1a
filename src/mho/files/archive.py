"""Archives of arrays (.npz, .mho), of which shapes, types and sizes are known from the headers before any value is read.

A zip archive of zeros is a thousandth of what it holds, and a header may state any shape. So what an archive states is held
against the file that it is in, and each header against its member; then the arrays are read that are wanted, and no others.
Nothing in them is executed: Python's own objects (pickles) are refused.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from mho.files.text import Kind, check_regular

AnyArray = npt.NDArray[Any]

SUFFIX = ".npy"
DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every member, so that equal content gives equal bytes."""
FREE = 2**28
"""Bytes that any archive may hold."""
EXPANSION = 100
"""A larger one may hold so many times its own size: values and codes pack to a half or a tenth."""
MOST_MEMBERS = 65_535
MOST_VALUES_WITHOUT_BYTES = 2**20
BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, KeyError, struct.error,
    OverflowError, SyntaxError, tokenize.TokenError, IndexError, TypeError,
)  # fmt: skip
"""What the readers of zip archives and of the headers of arrays raise on damaged bytes."""


@contextlib.contextmanager
def opened(path: Path, error: Kind, what: str = ".npz file") -> Iterator[zipfile.ZipFile]:
    """Open an archive of believable size; `error` names the file where it is none, or is broken, then or later."""
    size = check_regular(path, error)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, size)
            yield archive
    except OSError as failed:
        raise error(f"{path}: cannot be read: {failed.strerror or failed}") from None
    except BROKEN as failed:
        # What the readers themselves say names parts of theirs, not of the file; ours are ValueErrors, and an end that comes early.
        ours = type(failed) in (ValueError, EOFError) and str(failed)
        raise error(
            f"{path}: not a whole {what} ({ours or 'it is another kind of file, damaged, or cut short'})"
        ) from None


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or len({member.filename for member in members}) < len(members):
        raise ValueError(f"it has more than {MOST_MEMBERS:,} members, or two of one name")
    packed = next((m for m in members if m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)), None)
    if packed is not None:
        raise ValueError(f"member {packed.filename!r} is compressed by another method than deflate")
    unpacked, most = sum(member.file_size for member in members), max(FREE, EXPANSION * size)
    if unpacked > most:
        raise ValueError(f"its {size:,} bytes unpack to {unpacked:,}; at most {most:,} are unpacked")


@dataclass(frozen=True)
class Header:
    """What stands before the values of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize


def _words(read: Callable[[IO[bytes]], Any], stream: IO[bytes], name: str) -> Any:
    """Read a part of an array's header; ValueError in our words where it is none."""
    try:
        return read(stream)
    except ValueError:
        raise ValueError(f"member {name!r} is no array") from None


def read_header(archive: zipfile.ZipFile, name: str) -> tuple[Header, IO[bytes]]:
    """Return the header of the member `name`, and the member open behind it. ValueError where the two do not agree."""
    info = archive.getinfo(name)
    stream = archive.open(info)
    try:
        version = _words(npy.read_magic, stream, name)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"array {name.removesuffix(SUFFIX)!r}: version {version} of the .npy format is not known")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = _words(read, stream, name)
    except (MemoryError, RecursionError):  # Brackets without end, in a header of some kilobytes.
        raise ValueError(f"array {name.removesuffix(SUFFIX)!r}: its header cannot be read") from None
    header = Header(tuple(map(int, shape)), dtype, by_columns)
    said = f"array {name.removesuffix(SUFFIX)!r}"
    if dtype.hasobject:
        raise ValueError(f"{said} holds objects of Python; only integers, numbers and text are read")
    if min(shape, default=0) < 0 or header.size != (given := info.file_size - stream.tell()):
        ends = "goes on after its values" if 0 <= header.size < given else "ends early"
        raise ValueError(f"{said} {ends}: its header states {dtype} {shape}")
    if not dtype.itemsize and math.prod(shape) > MOST_VALUES_WITHOUT_BYTES:
        raise ValueError(f"array {name.removesuffix(SUFFIX)!r}: {shape} values without bytes")
    return header, stream


def read_array(archive: zipfile.ZipFile, name: str) -> AnyArray:
    """Read the member `name`; ValueError where it is damaged, MemoryError where this machine cannot hold it."""
    header, stream = read_header(archive, name)
    with stream:
        check_memory(header.size, f"array {name.removesuffix(SUFFIX)!r}")
        if not header.dtype.itemsize:
            return np.zeros(header.shape, header.dtype)
        content = stream.read(header.size)
    if len(content) != header.size:
        raise EOFError(f"array {name.removesuffix(SUFFIX)!r} ends early")
    values = np.frombuffer(bytearray(content), header.dtype)
    return values.reshape(header.shape[::-1]).transpose() if header.by_columns else values.reshape(header.shape)


def check_memory(size: float, what: str) -> None:
    """Refuse what this machine cannot hold, rather than be killed half-way: MemoryError says how much is needed."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if size > memory:
            raise MemoryError(f"({what} takes {size / 1e9:.1f} GB, this machine has {memory / 1e9:.1f} GB)")


class Npz(Mapping[str, AnyArray]):
    """The named arrays of a .npz file: `headers` are read when it is opened, values where they are asked for.

        held = Npz(path, NetworkError)
        held.headers["x"].shape, held["x"]

    Raises `error`, naming the file, where it is none or is damaged.
    """

    def __init__(self, path: Path, error: Kind) -> None:
        """Read the headers."""
        self.path, self._error = path, error
        self.headers: dict[str, Header] = {}
        with opened(path, error) as archive:
            for name in archive.namelist():
                if not name.endswith(SUFFIX):
                    raise error(f"{path}: member {name!r} is no array")
                header, stream = read_header(archive, name)
                stream.close()
                self.headers[name.removesuffix(SUFFIX)] = header

    @cached_property
    def _values(self) -> dict[str, AnyArray]:
        return {}

    def __getitem__(self, name: str) -> AnyArray:
        """Read an array, once."""
        if name not in self.headers:
            raise KeyError(name)
        if name not in self._values:
            with opened(self.path, self._error) as archive:
                self._values[name] = read_array(archive, name + SUFFIX)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.headers)

    def __len__(self) -> int:
        """Count the arrays."""
        return len(self.headers)


def write_member(archive: zipfile.ZipFile, name: str, content: bytes | str) -> None:
    """Add a member that is the same for the same content."""
    archive.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)


def write_arrays(stream: BinaryIO, arrays: Mapping[str, AnyArray], texts: Mapping[str, str] | None = None) -> None:
    """Write an archive of texts and of arrays by the names of their members: the same content gives the same bytes."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (texts or {}).items():
            write_member(archive, name, text)
        for name, array in arrays.items():
            buffer = io.BytesIO()
            npy.write_array(buffer, np.asarray(array), allow_pickle=False)
            write_member(archive, f"{name}{SUFFIX}", buffer.getvalue())


__all__ = ["BROKEN", "Header", "Npz", "check_memory", "opened", "read_array", "read_header", "write_arrays"]
