"""The screening collection read by its indexes: filters, orders, pages."""
