"""Intervals of descriptors, from maps drawn from the posterior of a learned landscape."""

from dataclasses import fields

import numpy as np

from superionic.landscape.descriptors import Descriptors, DescriptorSettings, compute_descriptors
from superionic.landscape.interpolation import CEILING_eV
from superionic.landscape.percolation import shared_barriers
from superionic.landscape.results import Landscape

QUANTILES = (0.025, 0.975)
"""Bounds of the intervals: 95 %."""

N_DRAWS = 40
"""Maps that are looked at: the smallest and the largest of 40 values enclose 95 %."""

N_COSTLY_DRAWS = 16
"""Maps of which the effective diffusivity is computed and barriers are read between points, the
costliest of the descriptors."""

FIXED = ("n_mobile", "cell_volume_A3", "xi_threshold_eV", "thresholds_eV")
"""Fields that do not depend on energies."""

OF_SHARED_MAP = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")
"""Fields that are read between grid points."""

UNKNOWN_ABOVE_eV = 0.9 * CEILING_eV
"""Learned energies end at the ceiling: a barrier near it may be any number of times as high."""

Interval = tuple[float, float]
Intervals = dict[str, Interval | tuple[Interval, ...]]


def descriptor_intervals(
    landscape: Landscape, found: Descriptors, settings: DescriptorSettings | None = None
) -> Intervals:
    """Return a 95 % interval for every descriptor of a learned landscape.

    Every drawn map goes through the same code as the landscape itself; the interval is that of the
    quantiles of what comes out, widened where it must be to hold the descriptor of the landscape.

    Parameters
    ----------
    landscape : Landscape
        The landscape with its draws.
    found : Descriptors
        Its descriptors.
    settings : DescriptorSettings, optional
        With which they were computed.

    Returns
    -------
    dict
        By the name of the field of :class:`Descriptors` a pair (low, high), or a tuple of pairs
        where the field is a tuple; empty for a landscape that is not learned.
    """
    drawn = [
        compute_descriptors(
            landscape.drawn_maps(number),
            landscape.grid.lattice,
            settings,
            with_diffusivity=number < N_COSTLY_DRAWS,
            between_points=number < N_COSTLY_DRAWS,
        )
        for number in range(min(N_DRAWS, landscape.n_draws))
    ]
    if not drawn:
        return {}
    on_grid = shared_barriers(landscape.ion_maps(), landscape.grid.lattice, step_A=np.inf)
    intervals: Intervals = {}
    for field in fields(Descriptors):
        if field.name in FIXED:
            continue
        own = np.array(getattr(found, field.name), dtype=float)
        values = np.array([getattr(one, field.name) for one in drawn], dtype=float)
        values = values[: N_COSTLY_DRAWS if field.name.startswith("diffusivity") else None]
        if field.name in OF_SHARED_MAP:
            # In the other draws what reading between points does is taken to be the same.
            moved = own - on_grid[OF_SHARED_MAP.index(field.name)]
            values[N_COSTLY_DRAWS:] += moved if np.isfinite(moved) else 0.0
        low = np.minimum(np.quantile(values, QUANTILES[0], axis=0, method="lower"), own)
        high = np.maximum(np.quantile(values, QUANTILES[1], axis=0, method="higher"), own)
        if "barrier" in field.name or "mpe" in field.name:
            high = np.where(high > UNKNOWN_ABOVE_eV, np.inf, high)
        intervals[field.name] = (
            (float(low), float(high))
            if own.ndim == 0
            else tuple(zip(low.tolist(), high.tolist(), strict=True))
        )
    return intervals
