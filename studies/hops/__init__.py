"""Barriers of single hops against those of density functional theory."""
