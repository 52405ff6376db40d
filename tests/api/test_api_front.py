"""``import superionic``: fast, lazy, typed, and the same whatever was imported before."""

import inspect
import subprocess
import sys

import pytest

import superionic as si
from superionic.cli import compute, descriptors, query
from superionic.front import NAMES, load


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip()


def test_the_import_is_fast_and_loads_nothing_that_is_not_used():
    code = (
        "import sys, time; start = time.perf_counter(); import superionic as si; "
        "print(time.perf_counter() - start); "
        "heavy = {'numpy', 'torch', 'pymatgen', 'jobflow', 'pydantic', 'pandas', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules))); dir(si); print('numpy' in sys.modules)"
    )
    found = [python(code).splitlines() for _ in range(3)]
    assert min(float(lines[0]) for lines in found) < 0.3
    assert found[0][1:] == ["[]", "False"]


def test_names_are_the_same_for_checkers_and_when_running():
    api = __import__("superionic.api", fromlist=["api"])
    assert set(api.__all__) == set(NAMES) == set(si.__all__) - {"__version__"}
    assert set(si.__all__) <= set(dir(si))
    for name in NAMES:
        assert getattr(api, name) is load(name)
    with pytest.raises(AttributeError, match="no attribute 'landscpe'"):
        _ = si.landscpe


def test_a_function_stays_callable_beside_a_package_of_its_name():
    code = (
        "import superionic as si, inspect\n"
        "first = inspect.signature(si.landscape), inspect.signature(si.query)\n"
        "import superionic.landscape.grid as grid, superionic.query\n"
        "from superionic.query import opened, query, structures_of\n"
        "assert superionic.landscape.grid is grid\n"
        "assert (inspect.signature(si.landscape), inspect.signature(si.query)) == first\n"
        "assert superionic.query.query is query\n"
        "from superionic.api.rows import query as today\n"
        "assert query is today\n"
        "try: si.landscape('nowhere.cif')\n"
        "except Exception as error: print(error)\n"
    )
    assert python(code) == "nowhere.cif: The file does not exist. Check the path."


SAME = {
    "potential": "potential",
    "mobile": "mobile",
    "policy": "policy",
    "step": "step_A",
    "relax": "relax",
    "min_width": "min_width_A",
    "exclusion_radius": "radius_A",
    "carrier": "carrier",
    "reference": "reference",
    "orderings": "orderings",
    "every_copy": "every_copy",
    "filters": "filters",
    "workers": "workers",
    "database": "database_uri",
    "network": "network",
    "shakes": "n_shakes",
    "temperature": "temperature_K",
    "length": "length_ps",
    "seed": "seed",
    "top": "top",
    "engine": "engine",
    "calculator": "calculator",
    "max_barrier": "max_barrier_eV",
    "formula": "formula",
}
"""Options of commands, and the arguments that are the same."""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (compute.screen, "screen"),
        (compute.predict, "predict"),
        (compute.label, "label"),
        (compute.label, "md"),
        (compute.validate, "validate"),
        (descriptors.descriptors, "landscape"),
        (query.query, "query"),
    ],
)
def test_defaults_are_those_of_the_command_line(command, name):
    options = inspect.signature(command).parameters
    arguments = inspect.signature(load(name)).parameters
    compared = 0
    for option, argument in SAME.items():
        if option not in options or argument not in arguments:
            continue
        assert arguments[argument].default == options[option].default, option
        compared += 1
    assert compared >= 4
