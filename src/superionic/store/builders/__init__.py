"""Builders: from job documents to the screening collection."""
