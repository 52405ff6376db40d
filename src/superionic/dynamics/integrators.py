"""Integrators: one step is a first half, one force evaluation, a second half.

Time inside is in ASE's unit, A sqrt(u/eV) (10.18 fs), so that accelerations are forces over masses.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from ase import units as ase_units
from numpy.typing import NDArray

from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]
Thermostat = Literal["bussi", "langevin", "nose_hoover", "nve"]


@dataclass
class State:
    """Where a run is.

    Parameters
    ----------
    step : int
        Steps done.
    positions_A : ndarray, shape (n_atoms, 3)
        Cartesian positions, never wrapped into the cell.
    velocities : ndarray, shape (n_atoms, 3)
        Velocities in A per ASE time unit.
    forces_eV_per_A : ndarray, shape (n_atoms, 3)
        Forces at these positions.
    energy_eV : float
        Potential energy at these positions.
    thermostat : ndarray, shape (n,)
        Variables of the thermostat; empty for those without.
    """

    step: int
    positions_A: FloatArray
    velocities: FloatArray
    forces_eV_per_A: FloatArray
    energy_eV: float
    thermostat: FloatArray = field(default_factory=lambda: np.zeros(0))


def kinetic_energy(velocities: FloatArray, masses_u: FloatArray) -> float:
    """Return the kinetic energy in eV."""
    return float(0.5 * np.sum(masses_u[:, None] * velocities**2))


def kinetic_temperature(velocities: FloatArray, masses_u: FloatArray) -> float:
    """Return the kinetic temperature in K, with 3N - 3 degrees of freedom."""
    degrees = max(3 * len(masses_u) - 3, 1)
    return 2.0 * kinetic_energy(velocities, masses_u) / (degrees * BOLTZMANN_eV_per_K)


def thermal_velocities(
    masses_u: FloatArray, temperature_K: float, rng: np.random.Generator
) -> FloatArray:
    """Draw Maxwell-Boltzmann velocities without momentum of the whole, shape (n_atoms, 3)."""
    thermal = np.sqrt(BOLTZMANN_eV_per_K * temperature_K / masses_u)[:, None]
    velocities = thermal * rng.standard_normal((len(masses_u), 3))
    return velocities - (masses_u @ velocities) / masses_u.sum()


class Integrator(Protocol):
    """Two halves of a step around a force evaluation."""

    def first_half(self, state: State, rng: np.random.Generator) -> None:
        """Move positions to where the forces are needed next."""

    def second_half(self, state: State, rng: np.random.Generator) -> None:
        """Finish the step; the state holds the new forces."""


class VelocityVerlet:
    """Velocity Verlet, the microcanonical ensemble; base of the thermostatted ones."""

    def __init__(self, masses_u: FloatArray, timestep_fs: float) -> None:
        self.masses = masses_u
        self.dt = timestep_fs * ase_units.fs

    def kick(self, state: State) -> None:
        """Advance velocities by half a step."""
        state.velocities += 0.5 * self.dt * state.forces_eV_per_A / self.masses[:, None]

    def first_half(self, state: State, rng: np.random.Generator) -> None:
        """Half kick, full drift."""
        self.kick(state)
        state.positions_A += self.dt * state.velocities

    def second_half(self, state: State, rng: np.random.Generator) -> None:
        """Half kick."""
        self.kick(state)


class Langevin(VelocityVerlet):
    """Langevin dynamics in the BAOAB splitting (Leimkuhler & Matthews, AMRX 2013, 34).

    It acts on every atom, so it also slows diffusion where the friction is not small.
    """

    def __init__(
        self, masses_u: FloatArray, timestep_fs: float, temperature_K: float, time_fs: float
    ) -> None:
        super().__init__(masses_u, timestep_fs)
        self._keep = np.exp(-timestep_fs / time_fs)
        thermal = np.sqrt(BOLTZMANN_eV_per_K * temperature_K / masses_u)[:, None]
        self._noise = np.sqrt(1.0 - self._keep**2) * thermal

    def first_half(self, state: State, rng: np.random.Generator) -> None:
        """Half kick, half drift, friction and noise, half drift."""
        self.kick(state)
        state.positions_A += 0.5 * self.dt * state.velocities
        noise = rng.standard_normal(state.velocities.shape)
        state.velocities = self._keep * state.velocities + self._noise * noise
        state.positions_A += 0.5 * self.dt * state.velocities


class Bussi(VelocityVerlet):
    """Stochastic velocity rescaling (Bussi et al., J. Chem. Phys. 126, 014101, 2007).

    One random factor for all velocities: the canonical ensemble with the dynamics hardly disturbed.
    """

    def __init__(
        self, masses_u: FloatArray, timestep_fs: float, temperature_K: float, time_fs: float
    ) -> None:
        super().__init__(masses_u, timestep_fs)
        self._degrees = max(3 * len(masses_u) - 3, 1)
        self._half_kT = 0.5 * BOLTZMANN_eV_per_K * temperature_K
        self._keep = np.exp(-timestep_fs / time_fs)

    def second_half(self, state: State, rng: np.random.Generator) -> None:
        """Half kick, then rescale the velocities (their equation A7)."""
        self.kick(state)
        kinetic = kinetic_energy(state.velocities, self.masses)
        if not (np.isfinite(kinetic) and kinetic > 0.0):
            return
        ratio = self._half_kT / kinetic  # mean kinetic energy per degree of freedom, over K
        normal = rng.standard_normal()
        squares = rng.chisquare(self._degrees - 1) if self._degrees > 1 else 0.0
        fresh = (1.0 - self._keep) * ratio
        factor = self._keep + fresh * (squares + normal**2)
        factor += 2.0 * normal * np.sqrt(self._keep * fresh)
        sign = np.sign(normal + np.sqrt(self._keep / fresh)) or 1.0
        state.velocities *= sign * np.sqrt(max(factor, 0.0))


class NoseHoover(VelocityVerlet):
    """Nose-Hoover chain of three (Martyna et al., Mol. Phys. 87, 1117, 1996); deterministic.

    The state's ``thermostat`` holds the velocities of the chain, in inverse ASE time units.
    """

    length = 3

    def __init__(
        self, masses_u: FloatArray, timestep_fs: float, temperature_K: float, time_fs: float
    ) -> None:
        super().__init__(masses_u, timestep_fs)
        self._degrees = max(3 * len(masses_u) - 3, 1)
        self._kT = BOLTZMANN_eV_per_K * temperature_K
        inertia = self._kT * (time_fs * ase_units.fs) ** 2
        self._inertia = np.array([self._degrees * inertia, inertia, inertia])

    def _thermostat(self, state: State) -> None:
        if len(state.thermostat) != self.length:
            state.thermostat = np.zeros(self.length)
        chain, inertia, kT = state.thermostat, self._inertia, self._kT
        half, quarter, eighth = self.dt / 2, self.dt / 4, self.dt / 8
        twice_kinetic = 2.0 * kinetic_energy(state.velocities, self.masses)
        push = (inertia[1] * chain[1] ** 2 - kT) / inertia[2]
        chain[2] += quarter * push
        for link in (1, 0):
            damp = np.exp(-eighth * chain[link + 1])
            chain[link] = (
                chain[link] * damp + quarter * self._push(link, twice_kinetic, chain)
            ) * (damp)
        scale = np.exp(-half * chain[0])
        state.velocities *= scale
        twice_kinetic *= scale**2
        for link in (0, 1):
            damp = np.exp(-eighth * chain[link + 1])
            chain[link] = (
                chain[link] * damp + quarter * self._push(link, twice_kinetic, chain)
            ) * (damp)
        chain[2] += quarter * (inertia[1] * chain[1] ** 2 - kT) / inertia[2]

    def _push(self, link: int, twice_kinetic_eV: float, chain: FloatArray) -> float:
        if link == 0:
            return float((twice_kinetic_eV - self._degrees * self._kT) / self._inertia[0])
        before = self._inertia[link - 1] * chain[link - 1] ** 2
        return float((before - self._kT) / self._inertia[link])

    def first_half(self, state: State, rng: np.random.Generator) -> None:
        """Half thermostat, half kick, full drift."""
        self._thermostat(state)
        super().first_half(state, rng)

    def second_half(self, state: State, rng: np.random.Generator) -> None:
        """Half kick, half thermostat."""
        self.kick(state)
        self._thermostat(state)


def make_integrator(
    thermostat: Thermostat,
    masses_u: FloatArray,
    timestep_fs: float,
    temperature_K: float,
    thermostat_time_fs: float,
) -> Integrator:
    """Return the integrator of a name.

    Parameters
    ----------
    thermostat : {"bussi", "langevin", "nose_hoover", "nve"}
        Which.
    masses_u : ndarray, shape (n_atoms,)
        Masses in u.
    timestep_fs : float
        Time step in fs.
    temperature_K : float
        Temperature in K; nve ignores it.
    thermostat_time_fs : float
        Relaxation time in fs; for langevin the inverse friction; nve ignores it.
    """
    if thermostat == "nve":
        return VelocityVerlet(masses_u, timestep_fs)
    kinds = {"bussi": Bussi, "langevin": Langevin, "nose_hoover": NoseHoover}
    return kinds[thermostat](masses_u, timestep_fs, temperature_K, thermostat_time_fs)
