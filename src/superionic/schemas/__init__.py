"""Documents: what is stored, field by field, with units."""
