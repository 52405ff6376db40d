"""Molecular dynamics, mean squared displacements, diffusion coefficients."""
