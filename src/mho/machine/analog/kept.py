"""What was made is kept while there is room: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What knows how many bytes it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""


Item = TypeVar("Item", bound=Sized)


class Kept(Generic[Item]):
    """Items by key, as many as `most` bytes hold, and always the last one."""

    def __init__(self, most: int) -> None:
        self.most, self._bytes = most, 0
        self._items: OrderedDict[Hashable, Item] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """Return the item of a key, made where it is not kept."""
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key]
        item = self._items[key] = make()
        self._bytes += item.nbytes
        while self._bytes > self.most and len(self._items) > 1:
            self._bytes -= self._items.popitem(last=False)[1].nbytes
        return item
