"""The command line: one thin door to the public interface."""

from mho.cli.app import app, main

__all__ = ["app", "main"]
