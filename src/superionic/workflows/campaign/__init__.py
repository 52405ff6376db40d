"""Flows of many materials, run on this machine."""
