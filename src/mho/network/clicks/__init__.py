"""Clicks: records of ids and labels, by which recommenders are trained, chosen and judged."""

from mho.network.clicks.clicks import FOLDS, Clicks, Part
from mho.network.clicks.files import FORMS, read

Clicks.load = read

__all__ = ["FOLDS", "FORMS", "Clicks", "Part", "read"]
