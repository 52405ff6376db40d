"""Stores, the local server and the launchpad."""
