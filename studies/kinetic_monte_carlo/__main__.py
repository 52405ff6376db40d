"""Do walks of ions that block each other tell conductors better than the map they are read from.

    SUPERIONIC_DATA_DIR=... python -m studies.kinetic_monte_carlo compute
    python -m studies.kinetic_monte_carlo table DIR/data

``compute`` reads the landscapes of a database (CHGNet, lithium; whatever crystals of the labels and
of OBELiX it holds), walks, and writes one line a crystal; the same command goes on where it was
stopped. ``table`` compares with the labels at 1000 K and with measured conductivities.

Everything here was fixed, and in the history of the repository, before any number was compared.

**Sites** are the minima of the map that all ions share, read between grid points as its barriers
are, up to 3 eV (``sites.py``). The basin that holds an ion at rest is that ion's own site. A
minimum within 1.8 A of a deeper or own site, with a pass to it of less than 0.1 eV above itself, is
part of it. **Passes** are the lowest points between basins; where one ion's map gives way to
another's, that is the height at which the two cross. **Hops** between neighbouring sites have the
rate 1e13/s exp(-(E_pass - E_site) / kT). A site holds one ion, and no ion goes to a site within 1.8
A of another ion; but for that ions do not feel each other. At the beginning each ion is at its own
site, in the smallest supercell of 15 A or more across. Eight walks of 50,000 hops give the
coefficients of tracer and collective diffusion with 95 % intervals, and the Haven ratio, at 1000 K
and at 300 K; who goes aside and comes back has not moved (``walk.py``).

**What that means.** The energy of an empty minimum is that of a nearby Frenkel pair in the frozen
crystal, the lowest of all ions that can get there: a distant pair costs more. An ion that hops into
a neighbour's empty site does so over the ridge, at which each map still holds the repulsion of an
ion that is not there: vacancies move too slowly, more the nearer sites are to each other. Ions that
push each other on (interstitialcy) are not part of it. Where the map has no minimum but the ions'
own, nothing can ever move: D is 0, and by construction, not by physics.

**Scores.** log10 D of the tracer at 1000 K where its interval is above zero, else of its upper
bound (rule of three where no ion came to another site: shorter times give higher bounds), at least
-30; and the mean of the percentiles of this and of ``free_volume``, among all crystals that were
walked. Beside them, on the same crystals, ``free_volume``, ``barrier_3d_eV`` and the effective
diffusivity. For measured conductivities log10 D at 300 K, too.

**Questions.** (1) ROC-AUC at 1 A^2/ps at 1000 K, negatives by their bounds, melted crystals left
out, and as failures; (2) Spearman among the diffusing; (3) ROC-AUC of measured conductivities of
OBELiX's training part at 1e-5 S/cm, of one crystal for each sample, of ordered and matched
crystals, and of approximants. Gains are paired, against ``free_volume``, with a bootstrap over
chemical systems. It helps if the gain of one of its two scores in (1) without molten crystals or in
(3) on ordered and matched crystals has an interval above zero and no other gain one below.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.gains import (
    BASE,
    CONDUCTS_S_PER_CM,
    DATASETS,
    SETS,
    champion_roles,
    comparison,
    of_dynamics,
    of_experiment,
    published,
    ranks,
    standing,
    with_base,
)
from studies.kinetic_monte_carlo.sites import site_network
from studies.kinetic_monte_carlo.walk import Diffusion, diffusion, repeats_of, supercell_of
from studies.one_by_one import compute_each, read_options
from superionic.dynamics.slope import conductivity
from superionic.errors import FigureError
from superionic.evaluation.evaluate import label_truths
from superionic.landscape.landscape import Landscape
from superionic.potentials.base import Potential
from superionic.report.documents import read_output
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.screen import LandscapeDocument
from superionic.store.collection.query import opened
from superionic.store.database.stores import Database
from superionic.units import A2_PER_PS_TO_CM2_PER_S

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "kinetic_monte_carlo.jsonl"
TABLE = RESULTS.with_suffix(".md")
LABELS = ("labels_1000K", "labels_1000K_longer")

HOT_K, COLD_K = 1000.0, 300.0
LOWEST = -30.0

WALK, BOTH, COLD = "walk at 1000 K", "mean of percentiles with the walk", "walk at 300 K"
OTHERS = ("barrier_3d_eV", "log10_diffusivity_ratio_1000K")


def walked(landscape: Landscape) -> dict[str, Any]:
    """Return the sites of a landscape, and what walks on them give."""
    maps = np.array([energies for _, energies in landscape.maps()])
    ions = landscape.structure.frac_coords[landscape.mobile_sites] - landscape.grid.origin
    network = site_network(maps, landscape.grid.lattice, ions)
    empty = network.energies_eV[~network.occupied]
    repeats = repeats_of(network.lattice)
    supercell = supercell_of(network, repeats)
    volume = float(abs(np.linalg.det(network.lattice))) * int(np.prod(repeats))
    return {
        "n_ions": network.n_ions,
        "n_sites": len(network.energies_eV),
        "n_passes": len(network.ends),
        "lowest_empty_eV": round(float(empty.min()), 4) if len(empty) else None,
        "dimensions": network.dimensions(),
        "supercell_ions": len(supercell.ions),
        **{
            f"{temperature:g}K": _rounded(
                diffusion(supercell, temperature), len(supercell.ions), volume, temperature
            )
            for temperature in (HOT_K, COLD_K)
        },
    }


def _rounded(found: Diffusion, n_ions: int, volume: float, temperature_K: float) -> dict[str, Any]:
    together = found.collective_A2_per_ps.value * A2_PER_PS_TO_CM2_PER_S
    numbers = asdict(found)
    numbers["conductivity_S_per_cm"] = conductivity(together, n_ions, volume, temperature_K)

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: short(one) for name, one in value.items()}
        return float(f"{value:.5g}") if np.isfinite(value) else None

    return {name: short(value) for name, value in numbers.items()}


def stored(database: Database, wanted: set[str], label: str) -> Iterator[tuple[str, str, str]]:
    """Yield identifier, formula and job of the newest landscape of each crystal."""
    jobs: dict[str, tuple[str, str]] = {}
    for one in database.job_store.docs_store.query(
        {
            "output.kind": "landscape",
            "output.mobile_species": "Li",
            "output.settings.carrier": None,
        },
        properties=["uuid", "output.material_id", "output.potential", "output.formula"],
        sort={"completed_at": 1},
    ):
        output, potential = one["output"], one["output"]["potential"]
        if f"{potential['family']}:{potential['name']}" == label:
            jobs[output["material_id"]] = (output.get("formula", ""), one["uuid"])
    for material_id in sorted(wanted & set(jobs)):
        yield (material_id, *jobs[material_id])


def score(line: Mapping[str, Any], temperature_K: float) -> float:
    """Return log10 of the diffusion coefficient in A^2/ps, or of its bound.

    Examples
    --------
    >>> found = {"value": 0.1, "low": 0.05, "high": 0.2}
    >>> score({"1000K": {"tracer_A2_per_ps": found, "bound_A2_per_ps": 0.2}}, 1000.0)
    -1.0
    """
    at = line[f"{temperature_K:g}K"]
    tracer = at["tracer_A2_per_ps"]
    number = tracer["value"] if tracer["low"] > 0 else at["bound_A2_per_ps"]
    return max(float(np.log10(number)), LOWEST) if number > 0 else LOWEST


def fate(line: Mapping[str, Any]) -> str:
    """Return what became of a walk at 1000 K."""
    if line["n_sites"] == line["n_ions"]:
        return "no site is empty"
    if line["dimensions"] == 0:
        return "sites do not hang together through the crystal"
    return "diffuses" if line["1000K"]["tracer_A2_per_ps"]["low"] > 0 else "a bound alone"


FATES = (
    "diffuses",
    "a bound alone",
    "sites do not hang together through the crystal",
    "no site is empty",
)


def table(data: Path) -> str:
    """Return the tables as Markdown."""
    computed = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    lines = {one["material_id"]: one for one in computed if "error" not in one}
    known = published(SETS, LABELS)
    group, labels = known.group, known.labels
    names = sorted(set(lines) & set(known.scores[BASE]))
    systems = group.systems()
    walk = {name: score(lines[name], HOT_K) for name in names}
    scores = {
        WALK: walk,
        BOTH: with_base(walk, known.scores[BASE]),
        **{name: known.scores[name] for name in (BASE, *OTHERS)},
    }
    cold = {COLD: {name: score(lines[name], COLD_K) for name in names}}

    verdicts = {one.material_id: one.verdict for one in labels if one.material_id in lines}
    text = [_fates(lines, verdicts, len(computed) - len(lines)), ""]
    dynamics = of_dynamics(names, group, labels)
    text += [
        "ROC-AUC with 95 % intervals by a bootstrap over chemical systems, the paired gain over "
        "`free_volume` after it.",
        "",
        comparison(scores, dynamics, systems),
        "",
    ]
    diffusing = {
        name: truth.value
        for name, truth in label_truths(group, labels, by_bounds=True).items()
        if name in lines and truth.value is not None
    }
    fast = list(diffusing)
    slopes = np.array([diffusing[name] for name in fast])
    heads = ["score", f"Spearman among the {len(fast)} diffusing", "gain"]
    text += [ranks(heads, scores, fast, slopes, systems), "", _levels(lines, diffusing), ""]

    text += [
        "Measured conductivities:",
        "",
        comparison({**scores, **cold}, of_experiment(names, data), systems),
        "",
        standing({**scores, **cold}, names, champion_roles()),
        "",
        _cold(lines),
    ]
    return "\n".join(text) + "\n"


def _fates(
    lines: Mapping[str, Mapping[str, Any]], verdicts: Mapping[str, str], n_failed: int
) -> str:
    kinds = ("diffusing", "unconverged", "not_diffusing", "melted")
    found = []
    for what in FATES:
        own = [name for name, line in lines.items() if fate(line) == what]
        counts = [sum(verdicts.get(name) == kind for name in own) for kind in kinds]
        counts.append(sum(name not in verdicts for name in own))
        found.append([what, *(str(n) for n in (len(own), *counts))])
    seconds = np.median([line["seconds"] for line in lines.values()])
    heads = ["walk at 1000 K", "crystals", *(f"{kind} in dynamics" for kind in kinds), "OBELiX"]
    return (
        f"{len(lines)} crystals, {n_failed} failed; {seconds:.1f} core-seconds of a crystal "
        f"(median) beyond its landscape.\n\n{markdown_table(heads, found)}"
    )


def _levels(lines: Mapping[str, Mapping[str, Any]], diffusing: Mapping[str, float]) -> str:
    """Return how far the coefficients of the walk are from those of dynamics, and Haven ratios."""
    both = [name for name in diffusing if fate(lines[name]) == "diffuses"]
    off = [score(lines[name], HOT_K) - (diffusing[name] - np.log10(6.0)) for name in both]
    havens = [line["1000K"]["haven"] for line in lines.values() if fate(line) == "diffuses"]
    sure = [one["value"] for one in havens if one["low"] is not None and one["low"] > 0]
    return (
        f"Of the {len(diffusing)} that diffuse in dynamics {len(both)} diffuse in the walk, too; "
        f"log10 of its D over that of dynamics: median {np.median(off):+.1f}, quartiles "
        f"{np.quantile(off, 0.25):+.1f} and {np.quantile(off, 0.75):+.1f}. Haven ratio at 1000 K, "
        f"where its interval is above zero ({len(sure)} crystals): median {np.median(sure):.2f}, "
        f"quartiles {np.quantile(sure, 0.25):.2f} and {np.quantile(sure, 0.75):.2f}."
    )


def _cold(lines: Mapping[str, Mapping[str, Any]]) -> str:
    moving = [line for line in lines.values() if line["300K"]["tracer_A2_per_ps"]["low"] > 0]
    fast = sum(line["300K"]["conductivity_S_per_cm"] > CONDUCTS_S_PER_CM for line in moving)
    return (
        f"At 300 K {len(moving)} of the {len(lines)} diffuse in the walk, {fast} of them with more "
        f"than {CONDUCTS_S_PER_CM:g} S/cm; the others have a bound alone or are closed."
    )


def main() -> None:
    """Compute, or write the table."""
    options = read_options(str(__doc__), RESULTS)
    if options.command == "table":
        TABLE.write_text(table(options.data))
        return
    wanted = {
        row.material_id
        for name in SETS
        for row in read_rows_file(DATASETS / f"{name}.jsonl")
        if row.mobile_species == "Li"
    }
    with ExitStack() as stack:
        database = stack.enter_context(opened())

        def describe(job: str, potential: Potential) -> dict[str, Any]:
            try:
                document = read_output(database, "landscape", job, "")
            except FigureError as error:  # of the database, and not of the crystal
                raise SystemExit(f"{error} The same command goes on from here.") from error
            assert isinstance(document, LandscapeDocument)
            return walked(document.landscape())

        compute_each(options, stored(database, wanted, "chgnet:0.3.0"), describe, digits_s=2)


if __name__ == "__main__":
    main()
