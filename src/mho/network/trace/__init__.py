"""Traces of embedding look-ups: what a recommender's queries ask of its tables."""

from mho.network.trace.align import align
from mho.network.trace.files import read, stream
from mho.network.trace.filters import minimum_frequency, minimum_length
from mho.network.trace.popularity import Reuse, Uniform, Zipf, popularity, read_locality
from mho.network.trace.statistics import Statistics, Unseen, describe, statistics
from mho.network.trace.synthetic import Communities, synthesise
from mho.network.trace.trace import Trace, join

Trace.load = read

__all__ = [
    "Communities", "Reuse", "Statistics", "Trace", "Uniform", "Unseen", "Zipf", "align", "describe", "join",
    "minimum_frequency", "minimum_length", "popularity", "read", "read_locality", "statistics", "stream", "synthesise",
]  # fmt: skip
