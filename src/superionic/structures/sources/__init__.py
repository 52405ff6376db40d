"""Candidates from databases: the Materials Project, and every provider of OPTIMADE."""

from superionic.structures.sources.download import Download, Page, Source, download

__all__ = ["Download", "Page", "Source", "download"]
