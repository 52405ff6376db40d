"""A read-only page, and a JSON API, over the screening collection."""
