"""Kinetic Monte Carlo with blocked sites on the minima of landscapes, as a study."""
