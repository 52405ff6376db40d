"""Ranking policies: pure functions of the rows of the screening collection."""
