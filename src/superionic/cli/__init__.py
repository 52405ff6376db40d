"""The command line."""

from superionic.cli.app import main

__all__ = ["main"]
