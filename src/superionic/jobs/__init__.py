"""Makers of single jobs."""
