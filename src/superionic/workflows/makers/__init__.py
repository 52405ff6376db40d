"""Makers that compose jobs."""
