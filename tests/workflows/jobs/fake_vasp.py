"""A stand-in for VASP: reads its inputs, runs velocity Verlet with a pair force, writes its files.

As VASP: energies, forces and positions of steps 0 to NSW - 1 in vasprun.xml, positions wrapped into
the cell, and step NSW with velocities in CONTCAR. Called as ``python fake_vasp.py`` in a folder
with INCAR and POSCAR. Environment: FAKE_VASP_LOG names a file to which each call adds its folder;
FAKE_VASP_KILL=n makes the n-th call kill its parent, the worker, half-way; FAKE_VASP_FAIL=n makes
it end without a result.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from toy_potential import pair_sum

MASSES_u = {"Li": 6.94, "Na": 22.99, "H": 1.008, "F": 18.998, "Cl": 35.45, "Br": 79.904}
EV_PER_A_u = 9.648533e-3  # 1 eV/(A u) in A/fs^2
BOLTZMANN = 8.617333262e-5


def read_incar() -> dict[str, str]:
    lines = [line.split("=", 1) for line in Path("INCAR").read_text().splitlines() if "=" in line]
    return {name.strip(): value.strip() for name, value in lines}


def read_poscar(file: str = "POSCAR"):
    lines = Path(file).read_text().splitlines()
    cell = np.array([line.split() for line in lines[2:5]], float) * float(lines[1])
    names, counts = lines[5].split(), [int(n) for n in lines[6].split()]
    symbols = [name for name, n in zip(names, counts, strict=True) for _ in range(n)]
    assert lines[7].lower().startswith("direct")
    start, n = 8, len(symbols)
    fractional = np.array([line.split()[:3] for line in lines[start : start + n]], float)
    rest = [line for line in lines[start + n :] if line.strip()]
    velocities = np.array([line.split()[:3] for line in rest[:n]], float) if rest else None
    return cell, symbols, fractional, velocities


def rows(array, tag="v") -> str:
    return "\n".join(
        f"<{tag}>{' '.join(f'{x:.10f}' for x in row)}</{tag}>" for row in np.atleast_2d(array)
    )


def structure(cell, fractional, name="") -> str:
    named = f' name="{name}"' if name else ""
    volume = abs(np.linalg.det(cell))
    return (
        f'<structure{named}><crystal><varray name="basis">{rows(cell)}</varray>'
        f'<i name="volume">{volume}</i><varray name="rec_basis">{rows(np.linalg.inv(cell).T)}'
        f'</varray></crystal><varray name="positions">{rows(fractional)}</varray></structure>'
    )


def calculation(cell, fractional, energy, forces, kinetic, tail="") -> str:
    energies = "".join(
        f'<i name="{name}">{value:.8f}</i>'
        for name, value in (
            ("e_fr_energy", energy),
            ("e_wo_entrp", energy),
            ("e_0_energy", energy),
        )
    )
    moving = f'<i name="kinetic">{kinetic:.8f}</i><i name="total">{energy + kinetic:.8f}</i>'
    return (
        f"<calculation><scstep><energy>{energies}</energy></scstep>{structure(cell, fractional)}"
        f'<varray name="forces">{rows(forces)}</varray>'
        f'<varray name="stress">{rows(np.zeros((3, 3)))}</varray>'
        f"<energy>{energies}{moving}</energy>{tail}</calculation>"
    )


EIGENVALUES = (
    '<eigenvalues><array><set><set comment="spin 1"><set comment="kpoint 1">'
    "<r>-5.0 1.0</r><r>5.0 0.0</r></set></set></set></array></eigenvalues>"
    '<dos><i name="efermi">0.0</i><total><array><set><set comment="spin 1">'
    "<r>-5.0 1.0 1.0</r><r>5.0 1.0 2.0</r></set></set></array></total></dos>"
)


def header(incar, cell, symbols, fractional) -> str:
    kinds = list(dict.fromkeys(symbols))
    atoms = "".join(f"<rc><c>{s}</c><c>{kinds.index(s) + 1}</c></rc>" for s in symbols)
    types = "".join(
        f"<rc><c>{symbols.count(k)}</c><c>{k}</c><c>{MASSES_u[k]}</c><c>1.0</c>"
        f"<c>PAW_PBE {k} 01Jan2000</c></rc>"
        for k in kinds
    )
    numbers = {
        "NSW": incar.get("NSW", "0"),
        "IBRION": "0" if "POTIM" in incar else "-1",
        "NELM": "500",
        "ISPIN": "1",
        "LORBIT": "0",
    }
    integers = "".join(f'<i type="int" name="{k}">{v}</i>' for k, v in numbers.items())
    shared = (
        f'{integers}<i name="POTIM">{incar.get("POTIM", "0.5")}</i>'
        f'<i name="TEBEG">{incar.get("TEBEG", "0")}</i>'
        f'<i type="string" name="GGA">PS</i>'
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><modeling>'
        '<generator><i name="program" type="string">vasp</i>'
        '<i name="version" type="string">6.0.fake</i></generator>'
        f"<incar>{shared}</incar>"
        '<kpoints><generation param="Gamma"><v type="int" name="divisions">1 1 1</v>'
        '<v name="usershift">0 0 0</v></generation>'
        '<varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>'
        f"</kpoints><parameters>{shared}</parameters>"
        f'<atominfo><array name="atoms"><set>{atoms}</set></array>'
        f'<array name="atomtypes"><set>{types}</set></array></atominfo>'
        f"{structure(cell, fractional, 'initialpos')}"
    )


def poscar(cell, symbols, fractional, velocities) -> str:
    kinds = list(dict.fromkeys(symbols))
    return "\n".join(
        [
            "fake",
            "1.0",
            *(" ".join(f"{x:.16f}" for x in row) for row in cell),
            " ".join(kinds),
            " ".join(str(symbols.count(k)) for k in kinds),
            "Direct",
            *(" ".join(f"{x:.16f}" for x in row) for row in fractional % 1.0),
            "",
            *(" ".join(f"{x:.16e}" for x in row) for row in velocities),
            "",
        ]
    )


def interaction(cell, positions):
    """Return energy and forces; the energy is negative, since custodian takes others for faults."""
    energy, forces = pair_sum(cell, positions, 300.0)
    return energy - 100.0 * len(positions), forces


def n_calls() -> int:
    log = Path(os.environ["FAKE_VASP_LOG"])
    with log.open("a") as stream:
        stream.write(f"{Path.cwd()}\n")
    return len(log.read_text().splitlines())


def main() -> None:
    call = n_calls()
    incar = read_incar()
    cell, symbols, fractional, velocities = read_poscar()
    if velocities is None:
        velocities = np.zeros_like(fractional)
    masses = np.array([MASSES_u[s] for s in symbols])[:, None]
    # Without steps it is a single point, which is written as one.
    n_steps, dt = max(1, int(incar.get("NSW", "0"))), float(incar.get("POTIM", "0.0"))
    to_acceleration = EV_PER_A_u / masses
    positions = fractional @ cell
    energy, forces = interaction(cell, positions)
    parts = [header(incar, cell, symbols, fractional)]
    lines = []
    for step in range(n_steps):
        if os.environ.get("FAKE_VASP_FAIL") == str(call):
            sys.exit(1)
        if os.environ.get("FAKE_VASP_KILL") == str(call) and step == n_steps // 2:
            os.kill(os.getppid(), signal.SIGKILL)
            sys.exit(1)
        kinetic = float(0.5 * np.sum(masses * velocities**2) / EV_PER_A_u)
        now = (positions @ np.linalg.inv(cell)) % 1.0
        tail = EIGENVALUES if step == n_steps - 1 else ""
        parts.append(calculation(cell, now, energy, forces, kinetic, tail))
        temperature = 2 * kinetic / ((3 * len(symbols) - 3) * BOLTZMANN)
        lines.append(
            f"{step + 1:7d} T= {temperature:6.0f}. E= {energy + kinetic:.8E} F= {energy:.8E} "
            f"E0= {energy:.8E}  EK= {kinetic:.5E} SP= 0.00E+00 SK= 0.00E+00"
        )
        velocities = velocities + 0.5 * dt * forces * to_acceleration
        positions = positions + dt * velocities
        energy, forces = interaction(cell, positions)
        velocities = velocities + 0.5 * dt * forces * to_acceleration
    last = (positions @ np.linalg.inv(cell)) % 1.0
    parts.append(f"{structure(cell, last, 'finalpos')}</modeling>\n")
    Path("vasprun.xml").write_text("\n".join(parts))
    Path("CONTCAR").write_text(poscar(cell, symbols, last, velocities))
    Path("OSZICAR").write_text("\n".join(lines) + "\n")
    Path("OUTCAR").write_text(
        " vasp.6.0.fake\n running on    1 total cores\n"
        "   number of dos      NEDOS =    301   number of ions     NIONS =      8\n"
        "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   "
        "number of bands    NBANDS=     12\n"
        "    total drift:    0.000000      0.000000      0.000000\n"
        "   total plane-waves  NPLWV =   1000\n"
        "   IBRION =      0    ionic relax\n"
        f"  free  energy   TOTEN  = {energy:18.8f} eV\n"
        "  energy  without entropy= 0.0  energy(sigma->0) = 0.0\n"
        " E-fermi :   0.0000     XC(G=0):   0.0000     alpha+bet :   0.0000\n"
        " General timing and accounting informations for this job:\n"
        "                  Total CPU time used (sec):        1.000\n"
        "                         Elapsed time (sec):        2.000\n"
    )


if __name__ == "__main__":
    main()
