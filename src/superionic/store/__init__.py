"""What is kept: the database, builders of its rows, their ranking, queries."""
