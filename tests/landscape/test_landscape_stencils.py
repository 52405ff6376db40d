"""Steps between grid points belong to the lattice of the points, however it is written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Voronoi

from superionic.landscape.stencils import links_of_lattice, obtuse_superbase, voronoi_steps

LATTICES = {
    "cubic": np.eye(3),
    "face-centred": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]),
    "body-centred": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1.0]]),
    "hexagonal": np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.3]]),
    "triclinic": np.array([[1.0, 0.2, -0.1], [0.3, 1.2, 0.05], [-0.2, 0.4, 0.9]]),
}


@st.composite
def unimodular(draw):
    """Return the product of a few shears and exchanges of rows."""
    matrix = np.eye(3, dtype=np.int64)
    for _ in range(draw(st.integers(1, 5))):
        i, j = draw(st.permutations(range(3)))[:2]
        matrix[i] += draw(st.integers(-2, 2)) * matrix[j]
    return matrix[draw(st.permutations(range(3)))]


def as_set(vectors):
    return {tuple(one) for one in (np.round(vectors, 6) + 0.0).tolist()}


@pytest.mark.parametrize("name", LATTICES)
@given(change=unimodular())
def test_they_are_the_same_in_all_bases(name, change):
    vectors = LATTICES[name]
    other = change @ vectors
    assert as_set(voronoi_steps(other) @ other) == as_set(voronoi_steps(vectors) @ vectors)
    (one, of_one), (two, of_two) = links_of_lattice(vectors), links_of_lattice(other)
    both = [np.vstack([steps @ at, -steps @ at]) for steps, at in ((one, vectors), (two, other))]
    assert as_set(both[0]) == as_set(both[1])
    assert sorted(of_one) == pytest.approx(sorted(of_two))


@pytest.mark.parametrize("name", LATTICES)
@given(change=unimodular())
def test_a_superbase_sums_up_to_zero_and_has_no_acute_angle(name, change):
    vectors = change @ LATTICES[name]
    base = obtuse_superbase(vectors @ vectors.T)
    assert not base.sum(axis=0).any()
    assert abs(round(np.linalg.det(base[:3]))) == 1
    products = (base @ vectors) @ (base @ vectors).T
    assert (products - np.diag(np.diag(products))).max() < 1e-6


@pytest.mark.parametrize("name", LATTICES)
def test_links_make_up_the_identity_and_reach_every_point(name):
    vectors = LATTICES[name]
    steps, shares = links_of_lattice(vectors)
    moved = steps @ vectors
    assert (moved.T * shares) @ moved == pytest.approx(np.eye(3), abs=1e-12)
    assert shares.min() > 0
    # Triples of them span the lattice itself, and not a part of it.
    determinants = [
        abs(round(np.linalg.det(steps[[i, j, k]])))
        for i in range(len(steps)) for j in range(i) for k in range(j)
    ]  # fmt: skip
    assert set(determinants) <= {0, 1}
    assert 1 in determinants


@pytest.mark.parametrize("name", ["cubic", "face-centred", "body-centred", "hexagonal"])
@given(seed=st.integers(0, 2**16))
def test_a_distortion_within_the_tolerance_of_the_symmetry_changes_no_step(name, seed):
    """Mg(NiO2)16, cubic to 2e-4 A, had other barriers in one dimension than in three."""
    vectors = 2.5 * LATTICES[name]
    strain = np.random.default_rng(seed).uniform(-1, 1, (3, 3))
    distorted = vectors + 0.005 * strain / np.linalg.norm(strain, axis=1, keepdims=True)
    assert as_set(voronoi_steps(distorted)) == as_set(voronoi_steps(vectors))
    one, other = links_of_lattice(distorted)[0], links_of_lattice(vectors)[0]
    assert as_set(np.vstack([one, -one])) == as_set(np.vstack([other, -other]))


@pytest.mark.parametrize(
    ("name", "n"), [("cubic", 26), ("face-centred", 18), ("body-centred", 14), ("hexagonal", 20)]
)
def test_voronoi_cells_of_neighbours_touch(name, n):
    vectors = LATTICES[name]
    steps = voronoi_steps(vectors)
    assert len(steps) == n
    assert as_set(steps) == as_set(-steps)
    points = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    regions = Voronoi(points @ vectors)
    corners = [
        regions.vertices[regions.regions[regions.point_region[at]]]
        for at in (len(points) // 2, *(int(np.flatnonzero((points == s).all(1))[0]) for s in steps))
    ]
    own = as_set(np.round(corners[0], 4))
    assert all(own & as_set(np.round(one, 4)) for one in corners[1:])
