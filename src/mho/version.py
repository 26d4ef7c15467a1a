"""The version, alone in a file so that every layer can name it."""

__version__ = "0.1.0"
