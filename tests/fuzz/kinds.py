"""The registry: each kind of thing that is made wrong, and the requests that meet it.

A kind takes a bench, writes what it needs into the folder of the case, and returns the words of a request. Adding a kind is
adding a function under `kind` in one of these modules.
"""

from tests.fuzz import archives, descriptions, lines, networks, places
from tests.fuzz.bench import KINDS, make

__all__ = ["KINDS", "archives", "descriptions", "lines", "make", "networks", "places"]
