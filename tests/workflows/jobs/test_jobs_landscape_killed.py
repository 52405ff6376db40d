"""A landscape whose process is killed in the middle goes on where it was."""

import ast
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
    from pymatgen.core import Lattice, Structure
    from superionic.landscape import evaluation
    from superionic.landscape.settings import LandscapeSettings, LearnedSettings
    from superionic.potentials import registry
    from superionic.potentials.base import FrozenFramework
    from superionic.workflows.jobs import landscape
    from superionic.workflows.jobs.landscape import LandscapeMaker

    evaluation.CHUNK = 20
    spec = 'ase:ase.calculators.lj.LennardJones?{"rc": 6.0, "sigma": 2.2}'
    known = registry.load_potential(spec, check=False)
    made = type(known).frozen_framework
    n_asked, end_at, end = 0, None, None

    class Counting(FrozenFramework):
        def __init__(self, inner):
            self.inner = inner

        def energies(self, positions_A):
            global n_asked
            if end_at is not None and n_asked + len(positions_A) > end_at:
                end()
            n_asked += len(positions_A)
            return self.inner.energies(positions_A)

    type(known).frozen_framework = lambda self, *crystal: Counting(made(self, *crystal))
    landscape.load_potential = lambda spec: known
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], sites)
    salt = salt.get_primitive_structure()
    salt.translate_sites([1], [0.03, 0.05, 0.02])
    MODES = {
        "exact": {"grid_step_A": 0.8},
        "learned": {"grid_step_A": 0.3, "learned": LearnedSettings()},
    }

    def compute(mode):
        "Return energies that were asked of the potential, those of the document, and their sum."
        global n_asked
        n_asked = 0
        maker = LandscapeMaker(settings=LandscapeSettings(**MODES[mode]))
        found = maker.make.original(maker, salt, spec, "Li", "salt")
        total = sum(float(one.unpack().sum()) for one in found.arrays.energies_eV)
        return n_asked, found.n_evaluations, total

    def stop():
        raise KeyboardInterrupt
    """
)
KILLED = "end_at, end = 45, lambda: os.kill(os.getpid(), signal.SIGKILL)\ncompute(mode)"
GOES_ON = "print([compute(mode), compute(mode)])"


def run(code, mode, cache_dir):
    return subprocess.run(
        [sys.executable, "-c", f"{SCRIPT}mode = {mode!r}\n{code}"],
        capture_output=True,
        text=True,
        env={**os.environ, "SUPERIONIC_CACHE_DIR": str(cache_dir)},
        timeout=300,
    )


@pytest.mark.process
@pytest.mark.parametrize("mode", ["exact", "learned"])
def test_what_was_evaluated_is_not_evaluated_again(mode, tmp_path):
    done = run(KILLED, mode, tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (kept,) = (tmp_path / "unfinished").iterdir()
    assert kept.stat().st_size > 0
    done = run(GOES_ON, mode, tmp_path)
    assert done.returncode == 0, done.stderr
    again, whole = ast.literal_eval(done.stdout)
    assert 0 < again[0] < whole[0]
    assert whole[0] == whole[1]
    assert again[1:] == whole[1:]  # to the last bit, and as many in the document
    assert not list((tmp_path / "unfinished").iterdir())


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
