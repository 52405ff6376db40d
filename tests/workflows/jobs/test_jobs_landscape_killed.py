"""A landscape whose process is killed in the middle goes on where it was."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from superionic.potentials.remembering import RememberingPotential

SCRIPT = textwrap.dedent(
    """
    import os, signal, sys
    import numpy as np
    from pymatgen.core import Lattice, Structure
    from superionic.landscape import evaluation
    from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings, LearnedSettings
    from superionic.potentials.base import FrozenFramework, Potential
    from superionic.potentials import registry
    from superionic.workflows.jobs import landscape
    from superionic.workflows.jobs.landscape import LandscapeMaker

    mode, deadly = sys.argv[1], int(sys.argv[2])
    evaluation.CHUNK = 20
    spec = 'ase:ase.calculators.lj.LennardJones?{"rc": 6.0, "sigma": 2.2}'
    known = registry.load_potential(spec, check=False)
    made = type(known).frozen_framework
    n_asked = 0

    class Counting(FrozenFramework):
        def __init__(self, inner):
            self.inner = inner

        def energies(self, positions_A):
            global n_asked
            n_asked += len(positions_A)
            if deadly and n_asked > deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.inner.energies(positions_A)

    type(known).frozen_framework = lambda self, *crystal: Counting(made(self, *crystal))
    landscape.load_potential = lambda spec: known
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    salt = salt.get_primitive_structure()
    salt.translate_sites([1], [0.03, 0.05, 0.02])
    adaptive = AdaptiveSettings() if mode == "adaptive" else None
    learned = LearnedSettings(max_energies=60) if mode == "learned" else None
    settings = LandscapeSettings(grid_step_A=0.8, adaptive=adaptive, learned=learned)
    found = LandscapeMaker(settings=settings).make.original(
        LandscapeMaker(settings=settings), salt, spec, "Li", "salt"
    )
    total = sum(float(one.unpack().sum()) for one in found.arrays.energies_eV)
    print(n_asked, found.n_evaluations, total)
    """
)


def compute(mode, cache_dir, deadly=0):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode, str(deadly)],
        capture_output=True,
        text=True,
        env={**os.environ, "SUPERIONIC_CACHE_DIR": str(cache_dir)},
        timeout=300,
    )
    if deadly:
        assert done.returncode == -signal.SIGKILL, done.stderr
        return None
    assert done.returncode == 0, done.stderr
    n_asked, n_evaluations, total = done.stdout.split()
    return int(n_asked), int(n_evaluations), float(total)


@pytest.mark.process
@pytest.mark.parametrize("mode", ["exact", "adaptive", "learned"])
def test_what_was_evaluated_is_not_evaluated_again(mode, tmp_path):
    whole = compute(mode, tmp_path / "whole")
    n_all = whole[0]
    assert n_all == whole[1]
    compute(mode, tmp_path / "killed", deadly=n_all // 2)
    (kept,) = (tmp_path / "killed" / "unfinished").iterdir()
    assert kept.stat().st_size > 0
    n_asked, n_evaluations, total = compute(mode, tmp_path / "killed")
    assert 0 < n_asked < n_all - n_all // 4
    assert (n_evaluations, total) == whole[1:]  # to the last bit, and as many in the document
    assert not kept.exists()


def test_a_record_that_is_cut_short_is_asked_for_again(tmp_path):
    class Known:
        info, elements, cutoff_A = None, None, None

    path = tmp_path / "energies"
    first = RememberingPotential(Known(), path)
    first.keep(b"a" * 32, np.array([1.0, 2.0]))
    first.keep(b"b" * 32, np.array([3.0]))
    first.close()
    path.write_bytes(path.read_bytes()[:-3])
    again = RememberingPotential(Known(), path)
    assert again.find(b"a" * 32).tolist() == [1.0, 2.0]
    assert again.find(b"b" * 32) is None
    again.keep(b"b" * 32, np.array([4.0]))
    again.close()
    last = RememberingPotential(Known(), path)
    assert last.find(b"b" * 32).tolist() == [4.0]
    last.close()
