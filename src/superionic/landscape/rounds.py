"""A learned landscape whose energies are computed elsewhere, batch by batch."""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.errors import SettingsError
from superionic.landscape.evaluation import Evaluation, moved_ions
from superionic.landscape.results import Landscape, refuse_flat
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import Potential, PotentialInfo


class _Elsewhere(Potential):
    """Stands for what gives the energies where they are not asked for here."""

    def __init__(self, info: PotentialInfo) -> None:
        self.info = info
        self.elements = None

    def energies(self, configurations: object) -> NDArray[np.float64]:
        raise NotImplementedError(f"Energies of {self.info.label} are computed elsewhere.")

    energies_and_forces = energies  # type: ignore[assignment]


class LearnedRounds:
    """A learned landscape whose energies are computed elsewhere, batch by batch.

    The symmetry is trusted: no energies are asked for to check it. What is asked for depends on
    the settings and on the energies that were learned: a search that was stopped goes on where it
    was when it is told them again.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        An ordered crystal at equilibrium.
    mobile_species : str
        Element symbol of the mobile ions.
    settings : LandscapeSettings
        With those of the learned mode.
    info : PotentialInfo
        What gives the energies; errors name it.
    prior : Landscape, optional
        Another potential's landscape, to which the difference is learned.

    Raises
    ------
    SettingsError
        When the settings ask for a carrier.

    Examples
    --------
    >>> from superionic.landscape.settings import LearnedSettings
    >>> crystal = Structure.from_file("workflows/example_crystals/mp-22899.cif")
    >>> settings = LandscapeSettings(grid_step_A=0.8, learned=LearnedSettings())
    >>> rounds = LearnedRounds(crystal, "Li", settings, PotentialInfo("ase", "mine", "1", ""))
    >>> points = rounds.propose()
    >>> ions, positions_A = rounds.moved(points)
    >>> len(points) == len(ions) == len(positions_A)
    True
    """

    def __init__(
        self,
        structure: Structure,
        mobile_species: str,
        settings: LandscapeSettings,
        info: PotentialInfo,
        prior: Landscape | None = None,
    ) -> None:
        assert settings.learned is not None
        if settings.carrier is not None:
            raise SettingsError(
                f"A landscape with a carrier ({settings.carrier}) is not made of points that are "
                "computed elsewhere.",
                hint="Take a potential (--potential) and no engine.",
            )
        self._mobile_species = mobile_species
        self._start = time.perf_counter()
        trusted = replace(settings, n_symmetry_checks=0)
        self._evaluation = Evaluation(
            structure, mobile_species, _Elsewhere(info), trusted, prior=prior
        )
        self._sampling = self._evaluation.sampling()
        self._sampler = self._evaluation.sampler(self._sampling, settings.learned)

    @property
    def n_asked(self) -> int:
        """Return the number of energies that were learned, failures included."""
        return self._evaluation.n_evaluations

    @property
    def uses_prior(self) -> bool:
        """Return whether the other landscape is of use."""
        return self._sampler.posterior.uses_prior

    def propose(self) -> NDArray[np.int64]:
        """Return the points whose energies are wanted next; none when it has ended."""
        return self._sampler.propose()

    def moved(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return for each point the site of the ion that moves there, and its position in A."""
        return moved_ions(self._sampler.points, points)

    def learn(
        self, points: NDArray[np.int64], totals_eV: NDArray[np.float64], failure: str = ""
    ) -> None:
        """Take in total energies in eV, NaN where there is none.

        Parameters
        ----------
        points : ndarray of int
            The points.
        totals_eV : ndarray
            Their energies.
        failure : str
            Why the first of those that failed did.

        Raises
        ------
        LandscapeError
            When there is none of the first batch.
        """
        evaluation = self._evaluation
        evaluation.n_evaluations += len(points)
        evaluation.n_failed += int((~np.isfinite(totals_eV)).sum())
        evaluation.first_failure = evaluation.first_failure or failure
        evaluation.require_some(self._sampler, totals_eV)
        self._sampler.learn(points, totals_eV)

    def landscape(self) -> Landscape:
        """Return the landscape as it is known.

        Raises
        ------
        LandscapeError
            When the energy is the same everywhere.
        """
        orbits = self._evaluation.learned(self._sampling, self._sampler.result())
        refuse_flat(orbits)
        return Landscape(
            structure=self._evaluation.structure,
            mobile_species=self._mobile_species,
            grid=self._sampling.grid,
            orbits=orbits,
            space_group=self._sampling.space_group,
            n_operations=self._sampling.n_operations,
            n_evaluations=self.n_asked,
            wall_time_s=time.perf_counter() - self._start,
            remarks=self._sampling.remarks,
            ending=self._evaluation.ending,
        )
