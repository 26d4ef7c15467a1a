"""Traces of embedding look-ups: what a recommender's queries ask of its tables."""

from mho.network.trace.trace import Trace

__all__ = ["Trace"]
