"""Crystals from CIF, right or refused.

``syntax`` turns text into values, ``elements`` and ``rows`` values into the rows of the list of
atoms, ``settings`` and ``symmetry`` find the operations, ``sites`` applies them, ``checks``
compares what comes out with what else the file says, and ``reader`` decides.
"""

from superionic.structures.cif.reader import read_cif

__all__ = ["read_cif"]
