"""Documents that figures are drawn from, and what all figures must have in common."""

import json
import re
import sys
from pathlib import Path

import numpy as np
from matplotlib.collections import Collection, PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from pymatgen.core import Lattice, Structure

from superionic.dynamics.confirmation import Ions
from superionic.dynamics.slope import diffusivity
from superionic.landscape.grid import Grid
from superionic.landscape.landscape import Landscape, OrbitLandscape
from superionic.landscape.symmetry import IDENTITY, SiteOrbit, SpaceGroup
from superionic.report.figures.style import PALETTE
from superionic.report.figures.write import image_bytes, plotly_json
from superionic.schemas.common import PotentialDocument
from superionic.schemas.label import DiffusionDocument, MSDDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
from superionic.schemas.validation import TemperatureDocument, ValidationDocument
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS / "store" / "builders"))

from part_documents import CRYSTAL, label, prediction, validation  # noqa: E402
from screening_helpers import descriptors  # noqa: E402

MODELS = {
    "descriptors": DescriptorsDocument,
    "prediction": PredictionDocument,
    "diffusion": DiffusionDocument,
    "validation": ValidationDocument,
}
UNIT = re.compile(r"\([^()]+\)$", re.DOTALL)
BARRIER_eV, CHANNEL_eV = 0.4, 1.5


def document(output: dict):
    """Return an output of the builders' helpers as its document."""
    if "structure" in output:
        output = output | {"structure": CRYSTAL}
    return MODELS[output["kind"]].model_validate(output)


def row(*outputs: dict):
    return screening_document([document(output) for output in outputs])


def landscape_document(orbits, structure, grid, **fields) -> LandscapeDocument:
    """Return the document of maps, one for each mobile ion."""
    landscape = Landscape(
        structure=structure,
        mobile_species="Li",
        grid=grid,
        orbits=[
            OrbitLandscape(SiteOrbit(i, [], [i], [IDENTITY]), e - e.min(), e < e.max(), -1.0)
            for i, e in enumerate(orbits)
        ],
        space_group=SpaceGroup(1, "P1", []),
        n_operations=1,
        n_evaluations=1,
        wall_time_s=1.0,
    )
    values = {
        "material_id": "m-1",
        "formula": structure.reduced_formula,
        "task_key": "key of m-1",
        "settings": {},
        "job_uuid": "landscape",
        "potential": PotentialDocument(
            family="chgnet", name="0.3.0", package_version="1", weights_sha256="w"
        ),
    }
    return LandscapeDocument.from_landscape(landscape, **(values | fields))


def licl() -> LandscapeDocument:
    """Return the landscape of wurtzite LiCl from the energies of the published CHGNet."""
    with np.load(TESTS / "landscape" / "licl_chgnet_energies.npz") as file:
        energies = file["energies_eV"].astype(float)
    lattice = Lattice([[1.962441, -3.399048, 0.0], [1.962441, 3.399048, 0.0], [0.0, 0.0, 6.357161]])
    positions = [
        *([0.0, 0.0, 2.39040061], [1.96243315, 1.13301147, 5.56898111]),
        *([0.0, 0.0, 6.35070212], [1.96243315, 1.13301147, 3.17211527]),
    ]
    crystal = Structure(lattice, ["Li", "Li", "Cl", "Cl"], positions, coords_are_cartesian=True)
    return landscape_document(energies, crystal, Grid(lattice.matrix, (16, 16, 26)))


def channel(origin=(0.0, 0.0, 0.0), n: int = 20) -> LandscapeDocument:
    """Return a cubic crystal of 5 A with an easy channel along x.

    ``E = 0.4 sin^2(pi x) + 1.5 (sin^2(pi y) + sin^2(pi z))`` with x, y, z from the ion.
    """
    structure = Structure(Lattice.cubic(5.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    grid = Grid(np.array(structure.lattice.matrix), (n, n, n), origin)
    x, y, z = grid.fractional(np.arange(grid.n_points)).T
    s = [np.sin(np.pi * f) ** 2 for f in (x, y, z)]
    energies = (BARRIER_eV * s[0] + CHANNEL_eV * (s[1] + s[2])).reshape(grid.shape)
    return landscape_document([energies], structure, grid)


def labelled(material_id: str = "m-1", slope: float = 3.0, **fields) -> dict:
    """Return a label whose curve is a line of the given slope through 0.7 A^2."""
    lags = [0.1 * i for i in range(41)]
    curve = MSDDocument(
        lags_ps=lags,
        mobile_A2=[0.7 + slope * t for t in lags],
        mobile_xyz_A2=[lags, lags, lags],
        framework_A2={"Cl": [0.2] * len(lags)},
    )
    return label(material_id, slope, msd=curve.model_dump(), **fields)


def rows():
    """Return four ranked rows with different parts."""
    return ranked(
        [
            row(
                descriptors("m-1", xi=0.9, mpe_eV=0.2, formula="Li6PS5Cl"),
                prediction("m-1", 0.7),
                labelled("m-1", 3.0),
            ),
            row(descriptors("m-2", xi=0.5, mpe_eV=0.6), prediction("m-2", -1.0)),
            row(descriptors("m-3", xi=0.1, mpe_eV=None), labelled("m-3", 2e-5)),
            row(descriptors("m-4", xi=0.3, mpe_eV=0.4), validation("m-4", "confirmed")),
        ]
    )


ENERGY_eV, D0_CM2_PER_S = 0.25, 2e-3
IONS = Ions(8, 216.0, 1.0)


def arrhenius_validation(temperatures=(500.0, 700.0, 1000.0), bound_K: float | None = 400.0):
    """Return a validation whose runs lie on an Arrhenius line exactly."""
    runs = []
    for temperature in temperatures:
        slope = d_of(temperature) / diffusivity(1.0)
        found = {
            "slope_A2_per_ps": slope,
            "error_A2_per_ps": 0.1 * slope,
            "low_A2_per_ps": 0.7 * slope,
            "high_A2_per_ps": 1.3 * slope,
            "direction_slopes_A2_per_ps": [slope / 3] * 3,
            "direction_errors_A2_per_ps": [0.05 * slope] * 3,
            "window_ps": [1.0, 2.0],
            "n_blocks": 6,
        }
        runs.append(_run(temperature, "value", slope=found, d=d_of(temperature)))
    if bound_K is not None:
        upper = 5 * d_of(bound_K) / diffusivity(1.0)
        runs.insert(0, _run(bound_K, "bound", upper=upper))
    output = validation("m-1", "confirmed", runs=[run.model_dump() for run in runs])
    return document(output)


def d_of(temperature_K: float) -> float:
    return D0_CM2_PER_S * float(np.exp(-ENERGY_eV / (8.617333262e-5 * temperature_K)))


def _run(temperature, evidence, slope=None, d=None, upper=None) -> TemperatureDocument:
    fields = TemperatureDocument.model_fields
    values = {
        name: None if field.is_required() else field.get_default(call_default_factory=True)
        for name, field in fields.items()
    }
    values |= {
        "temperature_K": temperature,
        "seed": 0,
        "status": "completed",
        "stop_reason": "length",
        "verdict": "diffusing" if evidence == "value" else "not_diffusing",
        "verdict_reason": "rule",
        "evidence": evidence,
        "production_ps": 30.0,
        "n_steps_done": 1,
        "n_evaluations": 1,
        "wall_time_s": 1.0,
        "slope": slope,
        "diffusivity_cm2_per_s": d,
        "diffusivity_error_cm2_per_s": None if d is None else 0.1 * d,
        "slope_upper_bound_A2_per_ps": upper,
        "conductivity_upper_bound_S_per_cm": None
        if upper is None
        else IONS.conductivity(diffusivity(upper), temperature),
    }
    return TemperatureDocument.model_validate(values)


def assert_well_drawn(static: Figure, interactive, *, without_unit: tuple[str, ...] = ()) -> None:
    """Check what all figures share: they render, have units, the palette, a column's width."""
    assert image_bytes(static, "png", dpi=60).startswith(b"\x89PNG")
    assert static.get_size_inches()[0] * 25.4 <= 86.0
    labels = [text for panel in static.axes for text in _axis_labels(panel)]
    content = json.loads(plotly_json(interactive))
    axes = {k: v for k, v in content["layout"].items() if re.fullmatch(r"[xy]axis\d*", k)}
    labels += [a["title"]["text"] for a in axes.values() if a.get("title", {}).get("text")]
    named = [text for text in labels if text and text not in without_unit]
    assert len(named) >= 4
    for text in named:
        assert UNIT.search(text), text
    assert_static_style(static)
    for trace in interactive.data:
        if trace.type in ("mesh3d", "scatter3d"):
            continue
        for part in (trace, getattr(trace, "line", None), getattr(trace, "marker", None)):
            colour = getattr(part, "color", None) if part is not None else None
            if isinstance(colour, str):
                assert _allowed(_hex(colour)), colour


SMALLEST_PT = 6.0


def assert_static_style(static: Figure) -> None:
    """Check that all that is drawn for print has the palette's colours, and texts can be read."""
    static.canvas.draw()
    colours = {to_hex(colour).upper() for colour in _drawn_colours(static)}
    assert colours
    assert all(_allowed(colour) for colour in colours), colours
    for text in static.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() >= SMALLEST_PT, text


def _drawn_colours(static: Figure) -> list:
    """Return the colours of lines, patches, collections and texts that can be seen."""
    found = []
    for panel in static.axes:
        for artist in [*panel.lines, *panel.patches, *panel.collections, *panel.texts]:
            if isinstance(artist, Line2D):
                colours = [artist.get_color()]
                if artist.get_marker() not in ("None", None, "", " "):
                    colours += [artist.get_markerfacecolor(), artist.get_markeredgecolor()]
            elif isinstance(artist, Patch):
                colours = [artist.get_facecolor(), artist.get_edgecolor()]
            elif isinstance(artist, Text):
                colours = [artist.get_color()]
            elif isinstance(artist, PolyCollection) and artist.get_rasterized():
                continue  # a scene: elements have VESTA's colours, and light changes all
            elif isinstance(artist, Collection):
                colours = [*artist.get_facecolor(), *artist.get_edgecolor()]
            found += [one for one in colours if not _unseen(one)]
    return found


def _unseen(colour) -> bool:
    return to_rgba(colour)[3] == 0


def _axis_labels(panel) -> list[str]:
    return [panel.get_xlabel(), panel.get_ylabel()]


def _hex(colour: str) -> str:
    if colour.startswith("rgba"):
        red, green, blue, _ = (float(x) for x in colour[5:-1].split(","))
        return to_hex((red / 255, green / 255, blue / 255)).upper()
    return colour.upper()


def _allowed(colour: str) -> bool:
    grey = colour[1:3] == colour[3:5] == colour[5:7]
    return grey or colour in {one.upper() for one in PALETTE}
