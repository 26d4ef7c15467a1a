"""Files of records, text or Parquet: which columns there are, the records batch by batch, and where each stands."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mho.errors import TraceError
from mho.network.trace.columns import LineOptions
from mho.network.trace.text import TextFile

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class RecordFile:
    """A text or Parquet file whose records have columns. `holds`: what a record stands for, as a refusal calls it."""

    holds: ClassVar[str] = "look-ups"

    path: Path
    options: LineOptions

    @property
    def parquet(self) -> bool:
        """Return whether this is a Parquet file."""
        return self.path.suffix in PARQUET

    @cached_property
    def source(self) -> TextFile:
        """Return the file as text."""
        return TextFile(self.path, self.options, self.holds)

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the columns; numbers from 1 on where the file has no header."""
        return tuple(self._schema.names) if self.parquet else self.source.form.columns

    @property
    def header(self) -> bool:
        """Return whether the file names its columns."""
        return self.parquet or self.source.form.header

    def place(self, record: int) -> str:
        """Say where a record stands."""
        return f"{self.path}: record {record}" if self.parquet else f"{self.path}: line {self.source.line(record)}"

    def batches(self, columns: Sequence[int], block: int) -> Iterator[tuple[Any, int]]:
        """Read columns, by number from 0 on: record batches of arrow, of up to `block`, each with the number of its first."""
        if not self.parquet:
            yield from self.source.batches(columns, block)
            return
        from pyarrow.parquet import ParquetFile

        names = [self._schema.names[at] for at in columns]
        first = 0
        with ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=block, columns=names, use_threads=False):
                # Columns come in the order of the file.
                yield batch.select(names), first
                first += batch.num_rows

    @cached_property
    def _schema(self) -> Any:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self.path) as file:
            return file.schema_arrow

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Say in our words what cannot be read."""
        from pyarrow.lib import ArrowException

        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise TraceError(f"{self.path}: its compressed text is cut short or damaged; get the file again") from None
        except OSError as error:
            reason = error.strerror if error.errno and error.strerror else "it is damaged, or cut short"
            raise TraceError(f"{self.path}: cannot be read: {reason}") from None
        except (ArrowException, UnicodeDecodeError):
            kind = "Parquet" if self.parquet else "text"
            raise TraceError(f"{self.path}: not a whole {kind} file: it is damaged, or cut short") from None


__all__ = ["PARQUET", "RecordFile"]
