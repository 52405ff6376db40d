"""Prove and measure superionic on a GPU, in under eight minutes on one card.

    python benchmarks/gpu_check.py [--matgl FOLDER] [--device cuda] [--seconds 300]

First it proves: energies of landscapes, forces in dynamics, random displacements and the force
network on the device equal those of the processor within the tolerances of the table, and a batch
that does not fit in memory is split. Then it measures: positions a second of each potential,
complete configurations of many crystals at once, atom-steps a second of batched dynamics, beside
torch-sim where that is installed. Each line is written when it is there, so that a run that is cut
short keeps what it has; past ``--seconds`` no further measurement begins. It ends with 1 when a
proof fails. Results: benchmarks/results/gpu_check.json and gpu_check.md (of a processor only with
``--out``).
"""

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

from superionic.dynamics.integrators import State, make_integrator, thermal_velocities
from superionic.network.inference import Ensemble, shipped_ensemble
from superionic.network.shakes import shake_crystal
from superionic.potentials.chgnet.device import ChgnetDeviceFramework
from superionic.potentials.chgnet.force_field import CHGNetForceField
from superionic.potentials.registry import load_potential
from superionic.units import EV_PER_A_AMU_TO_A_PER_PS2

warnings.filterwarnings("ignore")

RESULTS = Path(__file__).parent / "results"
SEED = 1
ENERGY_TOLERANCE_EV = 1e-3
"""Single precision of total energies of some hundreds of eV, summed in another order."""
FORCE_TOLERANCE_EV_PER_A = 2e-3
PREDICTION_TOLERANCE_DECADES = 2e-3


@dataclass(frozen=True)
class Proof:
    """A difference between device and processor, and the largest that is allowed."""

    name: str
    difference: float
    tolerance: float
    unit: str

    @property
    def passed(self) -> bool:
        return self.difference <= self.tolerance  # false for NaN


@dataclass(frozen=True)
class Rate:
    """What was done a second, the device's work waited for."""

    name: str
    n_atoms: int
    batch: int
    per_second: float
    unit: str


@dataclass
class Report:
    about: dict[str, Any]
    proofs: list[Proof] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def write(self, out: Path | None) -> None:
        if out is None:
            return
        out.mkdir(parents=True, exist_ok=True)
        content = {"about": self.about, "left_out": self.left_out}
        content |= {
            name: [asdict(one) for one in getattr(self, name)] for name in ("proofs", "rates")
        }
        (out / "gpu_check.json").write_text(json.dumps(content, indent=1) + "\n")
        (out / "gpu_check.md").write_text(table(self) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--matgl", type=Path, help="folder of a matgl model")
    parser.add_argument("--atoms", type=int, nargs="+", default=[16, 48, 192])
    parser.add_argument("--seconds", type=float, default=300.0, help="last start of a measurement")
    parser.add_argument("--each", type=float, default=4.0, help="seconds of one measurement")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    out = options.out or (RESULTS if device.type == "cuda" else None)
    began = time.monotonic()
    report = Report(about(device))
    for proof in proofs(device, options.atoms, options.matgl, report.left_out):
        report.proofs.append(proof)
        report.write(out)
        print(f"{'equal' if proof.passed else 'DIFFERS'}: {proof.name}: {proof.difference:.2g}"
              f" {proof.unit} (at most {proof.tolerance:g})", flush=True)  # fmt: skip
    for name, measure in measurements(device, options):
        if time.monotonic() - began > options.seconds:
            report.left_out.append(f"{name}: the time was up")
            continue
        try:
            rate = measure()
        except Exception as error:  # one that cannot be measured does not stop the others
            report.left_out.append(f"{name}: {type(error).__name__}: {str(error)[:120]}")
            continue
        report.rates.append(rate)
        report.write(out)
        what = f"{rate.name}, {rate.n_atoms} atoms, batch {rate.batch}"
        print(f"{what}: {rate.per_second:.4g} {rate.unit}", flush=True)
    report.about["wall_time_s"] = round(time.monotonic() - began, 1)
    report.write(out)
    print(table(report))
    return 0 if all(proof.passed for proof in report.proofs) else 1


def about(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": name, "type": device.type, "torch": torch.__version__, "seed": SEED}


def crystal(n_atoms: int) -> Atoms:
    """Return rock-salt LiCl (2 atoms a cell) of about so many atoms, shaken by 0.05 A."""
    repeats = [1, 1, 1]
    while 2 * np.prod(repeats) < n_atoms:
        repeats[int(np.argmin(repeats))] += 1
    atoms = bulk("LiCl", "rocksalt", a=5.13) * repeats
    atoms.rattle(0.05, seed=SEED)
    return atoms


def positions_in(atoms: Atoms, number: int) -> np.ndarray:
    """Return positions of the first atom within 1.5 A of its site, shape (number, 3), in A."""
    rng = np.random.default_rng(SEED)
    return atoms.positions[0] + rng.uniform(-0.85, 0.85, size=(number, 3))


def specs(matgl: Path | None) -> list[str]:
    return ["chgnet", "sevennet", *([f"matgl:{matgl}"] if matgl else [])]


def load(spec: str, device: torch.device) -> Any:
    return load_potential(spec, device=str(device), check=False)


def framework_on(potential: Any, atoms: Atoms, **settings: Any) -> Any:
    """Return the path of a GPU; CHGNet's is asked for by name, a processor has a faster one."""
    if potential.info.family == "chgnet":
        return ChgnetDeviceFramework(potential.model, atoms, 0, **settings)
    return potential.frozen_framework(atoms, 0)


def forces_on(model: Any, device: torch.device, systems: list[Atoms]) -> CHGNetForceField:
    return CHGNetForceField(systems, model, device=str(device), compiled=False)


def proofs(
    device: torch.device, sizes: list[int], matgl: Path | None, left_out: list[str]
) -> Iterator[Proof]:
    processor = torch.device("cpu")
    for spec in specs(matgl):
        try:
            there, here = load(spec, device), load(spec, processor)
        except Exception as error:
            left_out.append(f"{spec}: {type(error).__name__}: {str(error)[:120]}")
            continue
        for n_atoms in sizes[:2]:
            atoms = crystal(n_atoms)
            points = positions_in(atoms, 24)
            found = framework_on(there, atoms).energies(points)
            expected = here.frozen_framework(atoms, 0).energies(points)
            yield Proof(
                f"{there.info.label}: energies of a landscape, {len(atoms)} atoms",
                float(np.abs(found - expected).max()), ENERGY_TOLERANCE_EV, "eV",
            )  # fmt: skip
    there, here = load("chgnet", device), load("chgnet", processor)
    systems = [crystal(n) for n in sizes[:2] for _ in range(2)]
    for k, atoms in enumerate(systems):
        atoms.rattle(0.1, seed=SEED + k)
    positions = [atoms.positions for atoms in systems]
    _, found = forces_on(there.model, device, systems).evaluate(positions)
    _, expected = CHGNetForceField(systems, here.model).evaluate(positions)
    difference = max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True))
    yield Proof("chgnet: forces of dynamics, four crystals at once", float(difference),
                FORCE_TOLERANCE_EV_PER_A, "eV/A")  # fmt: skip

    network = Ensemble.load(shipped_ensemble(), device=str(device))
    reference = Ensemble.load(shipped_ensemble(), device="cpu")
    atoms = bulk("LiCl", "rocksalt", a=5.13)
    shaken, expected = (shake_crystal(atoms, p, network.header.shakes) for p in (there, here))
    moved = np.abs(shaken.positions_A - expected.positions_A).max()
    yield Proof("positions of the random displacements", float(moved), 1e-9, "A")
    masses_u = np.resize(atoms.get_masses(), shaken.positions_A.shape[1])
    scale = EV_PER_A_AMU_TO_A_PER_PS2 / masses_u.min()  # of the lightest atom
    difference = np.abs(shaken.accelerations_A_per_ps2 - expected.accelerations_A_per_ps2).max()
    yield Proof("accelerations of the random displacements, as forces", float(difference / scale),
                FORCE_TOLERANCE_EV_PER_A, "eV/A")  # fmt: skip
    values = [one.predict(expected).log10_msd_slope for one in (network, reference)]
    yield Proof("prediction of the force network", abs(values[0] - values[1]),
                PREDICTION_TOLERANCE_DECADES, "decades")  # fmt: skip

    if device.type != "cuda":
        left_out.append("a batch that does not fit in memory: the device is a processor")
        return
    atoms = crystal(sizes[1])
    points = positions_in(atoms, 2000)
    expected = framework_on(there, atoms, batch_size=20).energies(points[:40])
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(device)
    # Three GB for this process: some hundred positions of 48 atoms, not two thousand.
    torch.cuda.set_per_process_memory_fraction(min(1.0, 3e9 / total), device)
    try:
        found = framework_on(there, atoms, batch_size=len(points)).energies(points)
        difference = float(np.abs(found[:40] - expected).max())
    except torch.OutOfMemoryError:
        difference = float("nan")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    yield Proof(
        "a batch that does not fit in memory is split", difference, ENERGY_TOLERANCE_EV, "eV"
    )


def measurements(
    device: torch.device, options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], Rate]]]:
    for spec in specs(options.matgl):
        for n_atoms in options.atoms:
            work = partial(landscape_rate, spec, device, n_atoms, options.each)
            yield f"landscape of {spec}, {n_atoms} atoms", work
        for size in options.batches:
            work = partial(configuration_rate, spec, device, size, options.each)
            yield f"configurations of {spec}, batch {size}", work
    for n_atoms in options.atoms:
        for size in options.batches:
            work = partial(dynamics_rate, device, n_atoms, size, options.each)
            yield f"dynamics, {n_atoms} atoms, batch {size}", work
    for n_atoms in options.atoms:
        work = partial(torch_sim_rate, device, n_atoms, max(options.batches), options.each)
        yield f"torch-sim, {n_atoms} atoms", work


def per_second(work: Callable[[], int], seconds: float) -> float:
    """Return units of work a second: one call is left out, then it is repeated for some seconds."""
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return done / (time.perf_counter() - began)


def landscape_rate(spec: str, device: torch.device, n_atoms: int, seconds: float) -> Rate:
    atoms = crystal(n_atoms)
    framework = framework_on(load(spec, device), atoms)
    points = positions_in(atoms, 4096 if device.type == "cuda" else 8)

    def work() -> int:
        framework.energies(points)
        return len(points)

    return Rate(f"landscape, {spec.split(':')[0]}", len(atoms), len(points),
                per_second(work, seconds), "positions/s")  # fmt: skip


def configuration_rate(spec: str, device: torch.device, size: int, seconds: float) -> Rate:
    """Many crystals at once: complete configurations with forces."""
    potential = load(spec, device)
    crystals = [crystal(16) for _ in range(size)]
    for k, atoms in enumerate(crystals):
        atoms.rattle(0.05, seed=k)

    def work() -> int:
        potential.energies_and_forces(crystals)
        return size

    return Rate(f"crystals with forces, {spec.split(':')[0]}", len(crystals[0]), size,
                per_second(work, seconds), "crystals/s")  # fmt: skip


def dynamics_rate(device: torch.device, n_atoms: int, size: int, seconds: float) -> Rate:
    """Copies of one crystal, stepped as ``run_md_batch`` does, without its files."""
    crystals = [crystal(n_atoms) for _ in range(size)]
    force_field = forces_on(load("chgnet", device).model, device, crystals)
    masses = crystals[0].get_masses()
    integrator = make_integrator("langevin", masses, 2.0, 1000.0, 100.0)
    rng = np.random.default_rng(SEED)
    energies, forces = force_field.evaluate([atoms.positions for atoms in crystals])
    states = [
        State(
            step=0,
            positions_A=atoms.positions.copy(),
            velocities=thermal_velocities(masses, 1000.0, rng),
            forces_eV_per_A=force,
            energy_eV=float(energy),
        )
        for atoms, energy, force in zip(crystals, energies, forces, strict=True)
    ]

    def work() -> int:
        for state in states:
            integrator.first_half(state, rng)
        energies, forces = force_field.evaluate([state.positions_A for state in states])
        for state, energy, force in zip(states, energies, forces, strict=True):
            state.energy_eV, state.forces_eV_per_A = float(energy), force
            integrator.second_half(state, rng)
        return size * len(masses)

    return Rate("dynamics, chgnet", len(masses), size, per_second(work, seconds), "atom-steps/s")


def torch_sim_rate(device: torch.device, n_atoms: int, size: int, seconds: float) -> Rate:
    """The same with torch-sim and SevenNet, whose model it brings."""
    import torch_sim as ts
    from torch_sim.models.sevennet import SevenNetModel

    model = SevenNetModel(model="7net-0", device=device)
    crystals = [crystal(n_atoms) for _ in range(size)]
    n_steps = 10

    def work() -> int:
        ts.integrate(
            system=crystals,
            model=model,
            integrator=ts.Integrator.nvt_langevin,
            n_steps=n_steps,
            temperature=1000,
            timestep=0.002,
        )
        return n_steps * sum(len(atoms) for atoms in crystals)

    return Rate("dynamics, torch-sim with 7net-0", len(crystals[0]), size,
                per_second(work, seconds), "atom-steps/s")  # fmt: skip


def table(report: Report) -> str:
    lines = [
        f"{report.about['device']}, torch {report.about['torch']}.",
        "",
        "| proof: device against processor | largest difference | allowed | |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.name} | {one.difference:.1e} {one.unit} | {one.tolerance:g} {one.unit} |"
        f" {'equal' if one.passed else '**differs**'} |"
        for one in report.proofs
    ]
    lines += ["", "| measured | atoms | batch | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.name} | {one.n_atoms} | {one.batch} | {one.per_second:.4g} {one.unit} |"
        for one in report.rates
    ]
    if report.left_out:
        lines += ["", "Left out: " + "; ".join(report.left_out) + "."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
