"""Settings of a landscape that change its numbers."""

from dataclasses import dataclass
from math import inf
from typing import get_args

from superionic import defaults
from superionic.errors import SettingsError

DESCRIPTORS_VERSION = 3
"""Of the rules by which descriptors are read from maps; it stands in documents and not in keys,
since maps that are stored can be read again. 1: steps to the neighbours and tetrahedra followed the
vectors that the cell was given by. 2: which steps a cell has that is symmetric to less than 0.01 A
hung on what it lacks of its symmetry. The published descriptors are the same by all."""


@dataclass(frozen=True)
class AdaptiveSettings:
    """Settings of the adaptive mode that versions before this one had: documents still hold them.

    Parameters
    ----------
    coarse_spacing_A : float
        Distance between points of the sparse sample, in A.
    refine_below_eV : float
        Energy below which the landscape was evaluated rather than interpolated.
    refine_margin_eV : float
        How far above that an interpolated energy was still checked.
    exact_barrier_below_eV : float
        Barriers below this were checked by evaluating everything connected below them.
    percolation_tolerance_eV : float
        Ions whose barrier was this much above the best one were not refined further.
    """

    coarse_spacing_A: float = 0.6
    refine_below_eV: float = 0.56
    refine_margin_eV: float = 0.3
    exact_barrier_below_eV: float = 1.0
    percolation_tolerance_eV: float = 0.05


@dataclass(frozen=True)
class LearnedSettings:
    """How surely a landscape is to be known, and what that may cost.

    Parameters
    ----------
    barrier_tolerance_eV : float
        Half the width of the 95 % intervals of percolation barriers; of those above 2 eV in
        proportion, and of those above 4 eV any.
    volume_tolerance : float
        The same for free volumes at 0.5, 1.5 and 2 eV, as a fraction of the volume, or 0.001 of
        the cell.
    xi_tolerance : float
        The same for Xi.
    max_energies : int
        Energies after which the landscape stops, settled or not.
    batch_size : int
        Energies that are asked for at once; a sixth of those that are known, if that is more.
    n_draws : int
        Maps drawn from the posterior, from which the intervals are taken.

    Raises
    ------
    SettingsError
        When a value cannot be used.
    """

    barrier_tolerance_eV: float = 0.03
    volume_tolerance: float = 0.05
    xi_tolerance: float = 0.02
    max_energies: int = 2000
    batch_size: int = 8
    n_draws: int = 64

    def __post_init__(self) -> None:
        for name in ("barrier_tolerance_eV", "volume_tolerance", "xi_tolerance"):
            if not getattr(self, name) > 0:
                raise SettingsError(
                    f"{name} = {getattr(self, name)} is not possible.",
                    hint="Choose a tolerance above 0; no finite number of draws is exact.",
                )
        if self.max_energies < 1 or self.batch_size < 1:
            raise SettingsError(
                f"{self.max_energies} energies in batches of {self.batch_size} are not possible.",
                hint="Choose 1 or more of each.",
            )
        if self.n_draws < 16:
            raise SettingsError(
                f"{self.n_draws} drawn maps do not make an interval.",
                hint="Choose 16 or more; 64 is usual.",
            )


@dataclass(frozen=True)
class LandscapeSettings:
    """How a frozen-framework landscape is sampled.

    Parameters
    ----------
    grid_step_A : float
        Largest distance between neighbouring grid points along a lattice vector, in A.
    exclusion_radius_A : float
        Points closer than this to any other ion are not evaluated, in A.
    symmetry : bool
        Evaluate symmetry-irreducible ions and points only, on a grid that carries the symmetry.
    symprec_A : float
        Tolerance of the symmetry search, in A. It is tight by default: an ion that sits 0.01 A off
        its symmetric position changes energies near the repulsive wall by far more than 1e-4 eV.
    symmetry_tolerance_eV : float
        Largest difference between the energies of equivalent points that still counts as equal;
        for points more than 1 eV above the ion's own site, its ratio to that height in eV.
    n_symmetry_checks : int
        Random points, for each ion orbit, at which that is checked; 0 trusts the symmetry.
    max_grid_growth : float
        Largest factor by which the symmetric grid may have more points than the plain one; beyond
        it a subgroup is used.
    fast : bool
        Use the potential's frozen-framework path; otherwise evaluate complete configurations.
    adaptive : AdaptiveSettings or None
        Of documents of earlier versions, which evaluated where it matters and interpolated
        elsewhere. Nothing is computed with it any more.
    learned : LearnedSettings or None
        Evaluate what tells most of the descriptors, learn the rest and say how surely; None
        evaluates every point.
    flood_to_eV : float or None
        Of documents of earlier versions, which evaluated only what an ion reaches below this.
        Nothing is computed with it any more.
    seed : int
        Seed of the random sample of the symmetry check.
    carrier : {"vacancy", "interstitial"} or None
        Carrier that is made on purpose (:mod:`~superionic.landscape.carriers`).

    Raises
    ------
    SettingsError
        When a value cannot be used.
    """

    grid_step_A: float = defaults.GRID_STEP_A
    exclusion_radius_A: float = 1.2
    symmetry: bool = True
    symprec_A: float = 1e-3
    symmetry_tolerance_eV: float = 2e-3
    n_symmetry_checks: int = 12
    max_grid_growth: float = 2.0
    fast: bool = True
    adaptive: AdaptiveSettings | None = None
    learned: LearnedSettings | None = None
    flood_to_eV: float | None = None
    seed: int = 0
    carrier: defaults.Carrier | None = None

    def __post_init__(self) -> None:
        if self.carrier not in (None, *get_args(defaults.Carrier)):
            raise SettingsError(
                f"There is no carrier '{self.carrier}'.", hint="Choose vacancy or interstitial."
            )
        if not 0.02 < self.grid_step_A < inf:
            raise SettingsError(
                f"A grid step of {self.grid_step_A} A is not usable.",
                hint="Choose 0.1 to 0.5 A; the published protocol has 0.25 A.",
            )
        if not 0 <= self.exclusion_radius_A < inf:
            raise SettingsError(
                f"An exclusion radius of {self.exclusion_radius_A} A is not usable.",
                hint="Choose 0 or more; the published protocol has 1.2 A.",
            )
        if not 0 < self.symprec_A < 1:
            raise SettingsError(
                f"A symmetry tolerance of {self.symprec_A} A is not usable.",
                hint="Choose 1e-5 to 0.1 A.",
            )
        if not self.symmetry_tolerance_eV > 0:
            raise SettingsError(
                f"Energies cannot agree within {self.symmetry_tolerance_eV} eV.",
                hint="Choose 1e-4 eV or more.",
            )
        if self.n_symmetry_checks < 0:
            raise SettingsError(
                f"{self.n_symmetry_checks} symmetry checks for each ion are not possible.",
                hint="Choose 0 to trust the symmetry, or about 12.",
            )
        if not 1 <= self.max_grid_growth < inf:
            raise SettingsError(
                f"A grid cannot be limited to {self.max_grid_growth} times the plain one.",
                hint="Choose 1 or more.",
            )

    @classmethod
    def usual(cls) -> "LandscapeSettings":
        """Return what screenings take when nothing is said."""
        return cls(learned=LearnedSettings() if defaults.LEARNED else None)

    @classmethod
    def reference(cls, grid_step_A: float = defaults.GRID_STEP_A) -> "LandscapeSettings":
        """Return the published protocol: every point, no symmetry, complete configurations."""
        return cls(grid_step_A=grid_step_A, symmetry=False, fast=False)


def refuse_former_modes(settings: LandscapeSettings) -> None:
    """Refuse settings with which only earlier versions computed landscapes.

    Raises
    ------
    SettingsError
        When they are adaptive or flooded.
    """
    for name in ("adaptive", "flood_to_eV"):
        if getattr(settings, name) is not None:
            raise SettingsError(
                f"Landscapes are no longer computed with the setting '{name}'.",
                hint="Take learned mode (--learned, learned=True), which is the default, takes "
                "fewer energies and gives every number an interval.",
            )


DEFAULT_THRESHOLDS_eV: tuple[float, ...] = (
    *(round(0.1 * i, 1) for i in range(1, 11)),
    *(1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
)


@dataclass(frozen=True)
class DescriptorSettings:
    """What changes the numbers of :class:`Descriptors`.

    Parameters
    ----------
    thresholds_eV : tuple of float
        Energies above an ion's minimum at which free volumes are given.
    threshold_offsets_eV : tuple of float
        A free volume is the mean over the threshold plus each of these.
    xi_threshold_eV : float
        Threshold of the free volumes that enter Xi; one of ``thresholds_eV``.

    Raises
    ------
    SettingsError
        When a tuple is empty, a threshold is repeated or ``xi_threshold_eV`` is not among them.
    """

    thresholds_eV: tuple[float, ...] = DEFAULT_THRESHOLDS_eV
    threshold_offsets_eV: tuple[float, ...] = (-0.04, -0.02, 0.0, 0.02, 0.04)
    xi_threshold_eV: float = 0.5

    def __post_init__(self) -> None:
        if not self.thresholds_eV or not self.threshold_offsets_eV:
            raise SettingsError(
                "thresholds_eV and threshold_offsets_eV need at least one value each.",
                hint="Use threshold_offsets_eV = (0.0,) to average over nothing.",
            )
        if len(set(self.thresholds_eV)) < len(self.thresholds_eV):
            raise SettingsError(f"thresholds_eV repeats a value: {self.thresholds_eV}.")
        if self.xi_threshold_eV not in self.thresholds_eV:
            raise SettingsError(
                f"xi_threshold_eV = {self.xi_threshold_eV} is not among {self.thresholds_eV}.",
                hint="Add it to thresholds_eV.",
            )
