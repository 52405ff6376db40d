"""Every setting of every space group, by every style of its name: right, or refused."""

from collections import Counter
from functools import cache
from math import gcd

import gemmi
import numpy as np
import pytest
import spglib
from cif_texts import cif, contents, has_sites, read_one
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.structures.cif.settings import (
    N_SETTINGS,
    settings_of_hall,
    settings_of_name,
    settings_of_number,
)
from superionic.structures.cif.symmetry import Symmetry, symmetry_of_hall

_ICSD = {"1": " S", "2": " Z", "H": " H", "R": " R"}


def orbit(symmetry: Symmetry, position: NDArray[np.float64]) -> NDArray[np.float64]:
    images = symmetry.images(position) % 1.0
    shifts = images[:, None] - images[None]
    same = np.abs(shifts - np.round(shifts)).max(axis=2) < 1e-6
    return images[same.argmax(axis=1) == np.arange(len(images))]


def well_apart(lattice: Lattice, sites: NDArray[np.float64]) -> bool:
    shifts = sites[:, None] - sites[None]
    distances = np.linalg.norm((shifts - np.round(shifts)) @ lattice.matrix, axis=2)
    return bool((distances + np.eye(len(sites)) > 0.1).all())


def special(symmetry: Symmetry, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Return a random position that an operation leaves in place."""
    for _ in range(50):
        index = rng.integers(1, len(symmetry)) if len(symmetry) > 1 else 0
        rotation, translation = symmetry.rotations[index], symmetry.translations[index]
        start = position = rng.random(3)
        path = []
        for _ in range(12):  # the mean of the images by its powers
            path.append(position)
            position = rotation @ position + translation
            position = position - np.round(position - start)
        mean = np.mean(path, axis=0)
        shift = rotation @ mean + translation - mean
        if np.abs(shift - np.round(shift)).max() < 1e-9 and len(orbit(symmetry, mean)) < len(
            symmetry
        ):
            return mean
    return None


@cache
def crystal(number: int) -> tuple[Lattice, dict[str, NDArray[np.float64]], list[str]]:
    """Return a random crystal of a setting: cell, all sites by element, rows of one of each."""
    rng = np.random.default_rng(number)
    symmetry = symmetry_of_hall(spglib.get_spacegroup_type(number).hall_symbol)
    random = Lattice.from_parameters(*rng.uniform(6, 11, 3), *rng.uniform(75, 110, 3))
    turned = np.swapaxes(symmetry.rotations, 1, 2) @ random.metric_tensor @ symmetry.rotations
    lattice = Lattice(np.linalg.cholesky(turned.mean(axis=0)))
    sites: dict[str, NDArray[np.float64]] = {}
    rows = []
    for symbol in ("Li", "O", "Ti", "S"):
        for _ in range(200):
            position = rng.random(3) if symbol in "LiO" else special(symmetry, rng)
            if position is None:
                break
            images = orbit(symmetry, position)
            if well_apart(lattice, np.concatenate([images, *sites.values()])):
                sites[symbol] = images
                rows.append(f"{symbol}1 {symbol} " + " ".join(f"{x:.6f}" for x in position))
                break
    return lattice, sites, rows


def styles(number: int) -> dict[str, str]:
    entry = spglib.get_spacegroup_type(number)
    table = list(gemmi.spacegroup_table_itb())[number - 1]
    icsd = table.hm + _ICSD.get(table.ext, "")
    full = entry.international_full.replace("_", "")
    cod = table.xhm().replace(":", " :")
    it = f"\n_symmetry_Int_Tables_number {entry.number}"
    return {
        "cod": f"_symmetry_space_group_name_H-M '{cod}'{it}",
        "icsd": f"_symmetry_space_group_name_H-M '{icsd}'{it}",
        "full": f"_space_group_name_H-M_alt '{full}'",
        "short": f"_space_group_name_H-M_alt '{table.short_name()}'",
        "hall": f"_space_group_name_Hall '{entry.hall_symbol}'",
        "number": f"_space_group_IT_number {entry.number}",
        "none": "",
    }


def outcome(number: int, style: str, checked: bool) -> str:
    lattice, sites, rows = crystal(number)
    head = styles(number)[style]
    if checked:
        z = gcd(*map(len, sites.values()))
        formula = " ".join(f"{el}{len(images) // z}" for el, images in sites.items())
        head += f"\n_chemical_formula_sum '{formula}'\n_cell_formula_units_Z {z}"
    (content,) = contents(cif(lattice, rows, head))
    if isinstance(content, Structure):
        return "right" if has_sites(content, sites, within=1e-4) else f"wrong: {head}"
    return "refused"


@pytest.mark.parametrize("style", ["cod", "icsd", "hall"])
def test_a_name_that_says_the_setting_is_read_right(style):
    outcomes = Counter(outcome(n, style, checked=False) for n in range(1, N_SETTINGS + 1))
    assert outcomes == {"right": N_SETTINGS}


@pytest.mark.parametrize(
    ("style", "checked", "at_least"),
    [
        ("short", True, 500),
        ("number", False, 140),
        ("number", True, 290),
    ],
)
def test_a_name_that_leaves_the_setting_open_is_read_right_or_refused(style, checked, at_least):
    outcomes = Counter(outcome(n, style, checked) for n in range(1, N_SETTINGS + 1))
    assert outcomes.keys() == {"right", "refused"}
    assert outcomes["right"] >= at_least


@pytest.mark.parametrize("checked", [False, True])
def test_a_list_without_any_symmetry_is_read_as_p1_only_if_it_is_confirmed(checked):
    right = {n for n in range(1, N_SETTINGS + 1, 3) if outcome(n, "none", checked) == "right"}
    refused = {n for n in range(1, N_SETTINGS + 1, 3) if outcome(n, "none", checked) == "refused"}
    assert right == ({1} if checked else set())
    assert right | refused == set(range(1, N_SETTINGS + 1, 3))


def test_operations_of_the_file_need_no_name():
    for number in range(1, N_SETTINGS + 1, 7):
        lattice, sites, rows = crystal(number)
        group = gemmi.symops_from_hall(spglib.get_spacegroup_type(number).hall_symbol)
        listed = [f"'{op.triplet()}'" for op in group]
        for tag in ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"):
            structure, _ = read_one(cif(lattice, rows, "\n".join(["loop_", tag, *listed])))
            assert has_sites(structure, sites, within=1e-4)


@pytest.mark.parametrize(
    ("symbol", "halls"),
    [
        ("F d -3 m S", {"F 4d 2 3 -1d"}),
        ("Fd-3m:2", {"-F 4vw 2vw 3"}),
        ("F d -3 m, origin choice 2", {"-F 4vw 2vw 3"}),
        ("F d -3 m (origin 1)", {"F 4d 2 3 -1d"}),
        ("F D 3 M Z", {"-F 4vw 2vw 3"}),
        ("F d -3 m", {"F 4d 2 3 -1d", "-F 4vw 2vw 3"}),
        ("R -3 m R", {"-P 3* 2"}),
        ("R 3 c :H", {'R 3 -2"c'}),
        ("r-3mHR", {'-R 3 2"'}),
        ("P2(1)/n", {"-P 2yn", "-P 2n", "-P 2xn"}),  # unique axis b, c or a
        ("P 2_1/n 2_1/m 2_1/a", {"-P 2ac 2n"}),
        ("F 4/m -3 2/m", {"-F 4 2 3"}),
        ("P 63/m m c", {"-P 6c 2c"}),
        ("C m c e", {"-C 2ac 2"}),
        ("C m c a", {"-C 2ac 2"}),
        ("P n m a :7", set()),
        ("no symbol", set()),
    ],
)
def test_symbols_of_many_styles(symbol, halls):
    wanted = {symmetry_of_hall(hall).keys for hall in halls}
    assert {s.symmetry.keys for s in settings_of_name(symbol)} == wanted


def test_the_table_is_whole_and_a_hall_symbol_is_one_setting():
    assert sum(len(settings_of_number(n)) for n in range(1, 231)) > N_SETTINGS
    assert [s.number for s in settings_of_hall("-P_2yn")] == [14]
    assert [s.number for s in settings_of_hall("P 2y (0 0 1)")] == [0]
    assert settings_of_hall("F m -3 m") == []
