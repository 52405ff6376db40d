"""Symmetry operations: read, closed, and held against the metric of the cell."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from superionic.errors import UnreadableFileError

_COMPONENT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:/\d+)?|\.\d+)?\*?[xyz]?")
_SIMPLE = 24  # translations of space groups are multiples of 1/24
_MAX_ENTRY = 5  # of a rotation; 1 in usual cells, more in skewed ones
_DAMAGED = "The list may be cut short or damaged; complete it, or delete it if the file names its"


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The operations of a space group on fractional coordinates, modulo the lattice.

    Parameters
    ----------
    rotations : ndarray of shape (n, 3, 3)
        Integers.
    translations : ndarray of shape (n, 3)
        In [0, 1).
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rotations)

    def images(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the operations make of a position, shape (n, 3), not reduced to the cell."""
        return np.asarray(self.rotations @ position + self.translations)

    @cached_property
    def keys(self) -> frozenset[int]:
        """Return the operations as a set, whatever their order."""
        return frozenset(_keys(self.rotations, self.translations).tolist())

    def misfit(self, metric: NDArray[np.float64]) -> float:
        """Return how much the operations change lengths and angles of a cell, as a fraction.

        Parameters
        ----------
        metric : ndarray of shape (3, 3)
            Metric tensor of the cell, in A^2.
        """
        lengths = np.sqrt(np.diag(metric))
        turned = np.swapaxes(self.rotations, 1, 2) @ metric @ self.rotations
        return float(np.abs((turned - metric) / np.outer(lengths, lengths)).max())


def _keys(rotations: NDArray[np.int64], translations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return each operation as one number."""
    grid = 10 * _SIMPLE
    shifts = np.round(translations * grid).astype(np.int64) % grid
    span = 2 * _MAX_ENTRY + 1
    digits = rotations.reshape(-1, 9) + _MAX_ENTRY
    return (digits @ span ** np.arange(9)) * grid**3 + shifts @ grid ** np.arange(3)


IDENTITY = Symmetry(np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))


@lru_cache(maxsize=1024)
def symmetry_of_hall(hall: str) -> Symmetry:
    """Return the operations that a Hall symbol stands for.

    Raises
    ------
    RuntimeError
        When it is none.
    """
    operations = list(gemmi.symops_from_hall(hall))
    denominator = gemmi.Op.DEN
    return Symmetry(
        np.array([op.rot for op in operations], dtype=np.int64) // denominator,
        np.array([op.tran for op in operations]) / denominator % 1.0,
    )


@lru_cache(maxsize=1024)
def parse_symmetry(
    operations: tuple[str | None, ...], centrings: tuple[str | None, ...] = ("x,y,z",)
) -> Symmetry:
    """Return the group that a list of operations such as ``-x, y+1/2, -z`` makes.

    Parameters
    ----------
    operations : tuple of str
        As in the file; the time reversal of magnetic operations (a fourth part) is passed over.
    centrings : tuple of str
        Translations to combine them with, as magnetic files list them apart.

    Raises
    ------
    UnreadableFileError
        When one cannot be read, or they are no group: a list that lacks one makes another crystal.
    """
    parsed = [_operation(text) for text in operations]
    shifts = [_operation(text)[1] for text in centrings]
    rotations = np.array([rotation for _ in shifts for rotation, _ in parsed])
    translations = np.array([(t + shift) % 1.0 for shift in shifts for _, t in parsed])
    _, first = np.unique(_keys(rotations, translations), return_index=True)
    kept = np.sort(first)
    symmetry = Symmetry(rotations[kept], translations[kept])
    _check_group(symmetry)
    return symmetry


@lru_cache(maxsize=4096)
def _operation(text: str | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    parts = re.sub(r"\s", "", text or "").lower().split(",")
    if len(parts) not in (3, 4):
        raise _unknown_operation(text)
    for row, part in enumerate(parts[:3]):
        terms = _COMPONENT.findall(part)
        if "".join(terms) != part or not part:
            raise _unknown_operation(text)
        for term in filter(None, terms):
            axis = "xyz".find(term[-1]) if term[-1] in "xyz" else None
            digits = term.rstrip("xyz").rstrip("*")
            try:
                size = float(Fraction(digits + "1" if digits in ("", "+", "-") else digits))
            except (ValueError, ZeroDivisionError) as error:
                raise _unknown_operation(text) from error
            if axis is None:
                translation[row] += size
            else:
                rotation[row, axis] += size
    whole = np.round(rotation).astype(np.int64)
    unimodular = abs(round(float(np.linalg.det(rotation)))) == 1
    if (rotation != whole).any() or np.abs(whole).max() > _MAX_ENTRY or not unimodular:
        raise _unknown_operation(text)
    simple = np.round(translation * _SIMPLE) / _SIMPLE  # 0.3333 is a third
    translation = np.where(np.abs(translation - simple) < 1e-3, simple, translation)
    return whole, translation % 1.0


def _unknown_operation(text: str | None) -> UnreadableFileError:
    return UnreadableFileError(
        f"The list of symmetry operations holds {text or '?'!r}, which is none.",
        hint=f"{_DAMAGED} space group.",
    )


def _check_group(symmetry: Symmetry) -> None:
    rotations, translations = symmetry.rotations, symmetry.translations
    products = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 3, 3)
    shifts = np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]
    largest = np.abs(products).max()
    made = _keys(products, shifts.reshape(-1, 3) % 1.0)
    missing = set(np.unique(made).tolist()) - symmetry.keys
    if missing or largest > _MAX_ENTRY:
        raise UnreadableFileError(
            f"The {len(symmetry)} symmetry operations of the file are no group: some are missing.",
            hint=f"{_DAMAGED} space group.",
        )
