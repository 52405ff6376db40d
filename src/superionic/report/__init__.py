"""Tables and figures from documents."""
