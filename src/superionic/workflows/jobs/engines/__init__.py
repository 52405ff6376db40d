"""Engines of molecular dynamics behind one interface."""
