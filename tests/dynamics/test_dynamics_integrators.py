import numpy as np
import pytest
from ase import units as ase_units

from superionic.dynamics.integrators import (
    State,
    kinetic_temperature,
    make_integrator,
    thermal_velocities,
)

MASSES = np.array([7.0, 7.0, 35.0, 35.0, 16.0, 16.0])
STIFFNESS = 3.0  # eV/A^2
QUARTIC = 4.0  # eV/A^4: couples frequencies to amplitudes, so that chaos mixes the modes


def force(positions):
    """Neighbours on a ring joined by anharmonic springs; momentum is conserved."""
    stretch = np.roll(positions, -1, axis=0) - positions
    squares = np.sum(stretch**2, axis=1, keepdims=True)
    pull = STIFFNESS * stretch + QUARTIC * squares * stretch
    return pull - np.roll(pull, 1, axis=0)


def energy(positions):
    stretch = np.roll(positions, -1, axis=0) - positions
    squares = np.sum(stretch**2, axis=1)
    return np.sum(0.5 * STIFFNESS * squares + 0.25 * QUARTIC * squares**2)


def run(thermostat, n_steps, *, timestep_fs=1.0, seed=0, time_fs=50.0):
    rng = np.random.default_rng(seed)
    positions = np.zeros((len(MASSES), 3))
    state = State(0, positions, thermal_velocities(MASSES, 1000.0, rng), force(positions), 0.0)
    integrator = make_integrator(thermostat, MASSES, timestep_fs, 1000.0, time_fs)
    temperatures, energies = np.empty(n_steps), np.empty(n_steps)
    for step in range(n_steps):
        integrator.first_half(state, rng)
        state.forces_eV_per_A = force(state.positions_A)
        integrator.second_half(state, rng)
        temperatures[step] = kinetic_temperature(state.velocities, MASSES)
        kinetic = 0.5 * np.sum(MASSES[:, None] * state.velocities**2)
        energies[step] = energy(state.positions_A) + kinetic
    return state, temperatures, energies


def test_nve_conserves_energy_to_second_order():
    def drift(timestep_fs):
        _, _, energies = run("nve", int(400 / timestep_fs), timestep_fs=timestep_fs)
        return np.std(energies)

    assert drift(0.5) < 2e-3
    assert drift(1.0) / drift(0.5) == pytest.approx(4.0, rel=0.3)


def test_nve_returns_when_time_is_reversed():
    rng = np.random.default_rng(1)
    state, _, _ = run("nve", 300)
    integrator = make_integrator("nve", MASSES, 1.0, 0.0, 1.0)
    state.velocities *= -1.0
    for _ in range(300):
        integrator.first_half(state, rng)
        state.forces_eV_per_A = force(state.positions_A)
        integrator.second_half(state, rng)
    np.testing.assert_allclose(state.positions_A, 0.0, atol=1e-8)


@pytest.mark.parametrize("thermostat", ["bussi", "langevin"])
def test_thermostats_sample_the_canonical_kinetic_energy(thermostat):
    degrees = 3 * len(MASSES) - (0 if thermostat == "langevin" else 3)
    _, temperatures, _ = run(thermostat, 30_000)
    # kinetic_temperature counts 3N - 3 degrees of freedom; Langevin moves the centre of mass too
    sampled = temperatures[2000:] * (3 * len(MASSES) - 3) / degrees
    assert sampled.mean() == pytest.approx(1000.0, rel=0.03)
    # variance of a chi-squared distribution with that many degrees of freedom
    assert sampled.var() / 1000.0**2 == pytest.approx(2 / degrees, rel=0.15)


def test_nose_hoover_keeps_its_temperature_and_its_conserved_quantity():
    """Martyna et al., equation 24: energy of crystal and chain, with the work done on it."""
    k_T = 8.617333262e-5 * 1000.0
    degrees = 3 * len(MASSES) - 3

    def conserved(timestep_fs):
        rng = np.random.default_rng(0)
        positions = np.zeros((len(MASSES), 3))
        state = State(0, positions, thermal_velocities(MASSES, 1000.0, rng), force(positions), 0.0)
        integrator = make_integrator("nose_hoover", MASSES, timestep_fs, 1000.0, 50.0)
        inertia = np.array([degrees, 1.0, 1.0]) * k_T * (50.0 * ase_units.fs) ** 2
        chain_positions, values, temperatures = np.zeros(3), [], []
        for _ in range(int(2000 / timestep_fs)):
            integrator.first_half(state, rng)
            chain_positions += state.thermostat * timestep_fs * ase_units.fs
            state.forces_eV_per_A = force(state.positions_A)
            integrator.second_half(state, rng)
            temperatures.append(kinetic_temperature(state.velocities, MASSES))
            values.append(
                energy(state.positions_A)
                + 0.5 * np.sum(MASSES[:, None] * state.velocities**2)
                + 0.5 * np.sum(inertia * state.thermostat**2)
                + k_T * (degrees * chain_positions[0] + chain_positions[1:].sum())
            )
        return np.std(values), np.mean(temperatures)

    coarse, mean_K = conserved(1.0)
    assert coarse < 1e-3
    assert coarse / conserved(0.5)[0] == pytest.approx(4.0, rel=0.3)
    assert mean_K == pytest.approx(1000.0, rel=0.1)


@pytest.mark.parametrize("thermostat", ["bussi", "nose_hoover", "nve"])
def test_momentum_stays_zero(thermostat):
    state, _, _ = run(thermostat, 500)
    np.testing.assert_allclose(MASSES @ state.velocities, 0.0, atol=1e-10)


def test_nose_hoover_is_deterministic_and_others_follow_the_seed():
    for thermostat in ("bussi", "langevin"):
        same = [run(thermostat, 50, seed=3)[0].positions_A for _ in range(2)]
        np.testing.assert_array_equal(*same)
        assert np.any(same[0] != run(thermostat, 50, seed=4)[0].positions_A)


def test_thermal_velocities_have_the_temperature_and_no_momentum():
    masses = np.tile([7.0, 35.0], 2000)
    velocities = thermal_velocities(masses, 800.0, np.random.default_rng(0))
    assert kinetic_temperature(velocities, masses) == pytest.approx(800.0, rel=0.03)
    np.testing.assert_allclose(masses @ velocities, 0.0, atol=1e-8)
    # equipartition: m <v^2> equal for both species
    light, heavy = (
        np.mean(m * np.sum(velocities[k::2] ** 2, axis=1)) for k, m in ((0, 7.0), (1, 35.0))
    )
    assert light == pytest.approx(heavy, rel=0.1)


def test_free_particle_moves_with_its_velocity():
    integrator = make_integrator("nve", np.array([7.0]), 2.0, 0.0, 1.0)
    state = State(0, np.zeros((1, 3)), np.array([[0.1, 0.0, 0.0]]), np.zeros((1, 3)), 0.0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        integrator.first_half(state, rng)
        integrator.second_half(state, rng)
    assert state.positions_A[0, 0] == pytest.approx(0.1 * 20.0 * ase_units.fs)
