"""The landscape of one crystal: computed now, or read back from the database by its row."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic import __version__, defaults
from superionic.errors import InputError, SettingsError, SuperionicError
from superionic.landscape.descriptors import Descriptors, compute_descriptors, narrow_cell_remarks
from superionic.landscape.intervals import Intervals, descriptor_intervals
from superionic.landscape.landscape import Landscape, compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.report.tables.text_table import html_table
from superionic.schemas.common import PotentialDocument, Warning_, finite
from superionic.schemas.screen import LandscapeDocument
from superionic.schemas.screening import ScreeningDocument
from superionic.structures.crystals import Crystal, as_candidate
from superionic.structures.prepare import prepare
from superionic.workflows.campaign.definition import maker_of
from superionic.workflows.jobs.descriptors import bounded

if TYPE_CHECKING:
    import pandas as pd

    from superionic.report.figures.scene import LandscapeScene

Kind = Literal["landscape", "path", "volume"]

_SHOWN = (
    ("mpe_eV", "published barrier (eV)", ".3f"),
    ("barrier_1d_eV", "barrier in one dimension (eV)", ".3f"),
    ("barrier_2d_eV", "in two dimensions (eV)", ".3f"),
    ("barrier_3d_eV", "in three dimensions (eV)", ".3f"),
    ("fv_connected", "connected free volume at 0.5 eV", ".4f"),
    ("fv_disconnected", "disconnected free volume at 0.5 eV", ".4f"),
    ("xi", "Xi", ".3g"),
)


@dataclass(frozen=True)
class CrystalLandscape:
    """The frozen-framework landscapes of all mobile ions of a crystal, and what follows from them.

    Parameters
    ----------
    material_id : str
        Identifier of the crystal.
    potential : PotentialDocument
        What gave the energies.
    computed : Landscape
        Grid and energies.
    warnings : tuple of warnings
        What the user should know.
    steps : tuple of str
        What was done to the crystal before.
    settings : dict
        Settings of the steps, by the name of the step.
    """

    material_id: str
    potential: PotentialDocument
    computed: Landscape
    warnings: tuple[Warning_, ...] = ()
    steps: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None

    @classmethod
    def from_document(cls, document: LandscapeDocument) -> "CrystalLandscape":
        """Return the landscape that a job stored, arrays included."""
        return cls(
            document.material_id,
            document.potential,
            document.landscape(),
            tuple(document.warnings),
            settings={"landscape": document.settings},
        )

    @property
    def structure(self) -> Structure:
        """The crystal in the cell that was computed."""
        return self.computed.structure

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return str(self.structure.composition.reduced_formula)

    @property
    def mobile_species(self) -> str:
        """Element of the mobile ion."""
        return self.computed.mobile_species

    def maps(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield for each mobile ion its site and its energies in eV above its own minimum."""
        return self.computed.maps()

    def descriptors(self) -> Descriptors:
        """Return percolation barriers, free volumes and Xi.

        Examples
        --------
        >>> import superionic as si
        >>> land = si.landscape("workflows/example_crystals/mp-22899.cif", step_A=0.6)
        >>> round(land.descriptors().barrier_3d_eV, 2)
        0.51
        """
        return self._descriptors

    @cached_property
    def _descriptors(self) -> Descriptors:
        return compute_descriptors(self.computed.ion_maps(), self.computed.grid.lattice)

    def intervals(self) -> Intervals:
        """Return 95 % intervals of the descriptors of a learned landscape, by their names.

        Empty where every point was evaluated.
        """
        return self._intervals

    @cached_property
    def _intervals(self) -> Intervals:
        return descriptor_intervals(self.computed, self._descriptors)

    def plot(self, kind: Kind = "landscape", *, static: bool = False, **options: Any) -> Any:
        """Return a figure, which shows itself in a notebook.

        Parameters
        ----------
        kind : {"landscape", "path", "volume"}
            Crystal with surfaces of equal energy and the percolation path; energy along that path;
            volume below an energy.
        static : bool
            A figure of matplotlib for print, in place of an interactive one of plotly.
        **options
            What the figure takes besides, as :mod:`superionic.report.figures` describes.

        Raises
        ------
        FigureError
            When there is no path, or the extra ``report`` is not installed.
        """
        from superionic.report.figures.gather import path_of_scene
        from superionic.report.figures.kinds import get_kind

        scene = self._scene
        data = {
            "landscape": lambda: scene,
            "path": lambda: path_of_scene(scene),
            "volume": lambda: scene.volume,
        }
        if kind not in data:
            raise InputError(
                f"There is no figure {kind!r} of a landscape.", hint=f"Use {', '.join(data)}."
            )
        figure = get_kind(kind)
        draw = figure.static if static else figure.plotly
        return draw(data[kind](), **options)

    @cached_property
    def _scene(self) -> "LandscapeScene":
        from superionic.report.figures.scene import scene_of_landscape
        from superionic.report.figures.style import About

        about = About(self.material_id, self.formula, self.mobile_species, self.potential.label)
        return scene_of_landscape(self.computed, about)

    def as_dict(self) -> dict[str, Any]:
        """Return every descriptor with what is needed to repeat it, as JSON takes it.

        This is what ``superionic descriptors`` prints.
        """
        found, computed, bounds = self.descriptors(), self.computed, self.intervals()
        numbers = {
            name: finite(value) if isinstance(value, float) else value
            for name, value in asdict(found).items()
        }
        numbers["mpe_per_ion_eV"] = [finite(value) for value in found.mpe_per_ion_eV]
        return {
            "material_id": self.material_id,
            "formula": self.formula,
            "mobile_species": self.mobile_species,
            "potential": self.potential.label,
            **numbers,
            "fv_connected": found.fv_connected,
            "fv_disconnected": found.fv_disconnected,
            **({"intervals": bounded(bounds), "ending": computed.ending} if bounds else {}),
            "mobile_sites": computed.mobile_sites,
            "n_atoms": len(self.structure),
            "spacegroup": computed.space_group.symbol,
            "grid_shape": computed.grid.shape,
            "grid_origin": computed.grid.origin,
            "n_operations": computed.n_operations,
            "n_evaluations": computed.n_evaluations,
            "wall_time_s": computed.wall_time_s,
            "warnings": [warning.model_dump() for warning in self.warnings],
            "steps": list(self.steps),
            "provenance": {
                "potential": self.potential.model_dump(),
                **(self.settings or {}),
                "superionic": __version__,
            },
        }

    def frame(self) -> "pd.DataFrame":
        """Return the descriptors as a pandas table of one row."""
        import pandas as pd

        plain = (str, int, float, type(None))
        record = {name: value for name, value in self.as_dict().items() if isinstance(value, plain)}
        return pd.DataFrame([record]).set_index("material_id")

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.computed.grid.shape))
        return (
            f"CrystalLandscape({self.formula}, {self.material_id}, mobile {self.mobile_species}, "
            f"{self.potential.label}, {shape} points)"
        )

    def _repr_html_(self) -> str:
        found = self.descriptors()
        cells = [
            (text, "none" if getattr(found, name) == np.inf else format(getattr(found, name), form))
            for name, text, form in _SHOWN
        ]
        said = [(f"warning: {one.code}", one.text) for one in self.warnings]
        title = (
            f"{self.formula} ({self.material_id}), mobile {self.mobile_species}, "
            f"{self.potential.label}"
        )
        return html_table([(title, False), ("", True)], [*cells, *said])


def landscape(
    crystal: Crystal | ScreeningDocument,
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    step_A: float = defaults.GRID_STEP_A,
    learned: bool | None = None,
    max_energies: int | None = None,
    min_width_A: float | None = None,
    radius_A: float | None = None,
    carrier: defaults.Carrier | None = None,
    reference: bool = False,
    material_id: str | None = None,
    database_uri: str | None = None,
) -> CrystalLandscape:
    """Compute the landscape of one crystal, or read one of the database by its row.

    The crystal is made calculable (ordered, reduced to its primitive cell) and not relaxed, as
    ``superionic descriptors`` does; nothing is stored.

    Parameters
    ----------
    crystal : str, Path, Structure, Atoms or ScreeningDocument
        A file with one crystal, the crystal, or a row that :func:`superionic.query` returned; then
        the other arguments but ``database_uri`` are those of the row.
    mobile : str
        The mobile ion, such as Li, Na+, Ag or F-.
    potential : str, optional
        Specification of the potential; by default the setting ``potential``, which is chgnet.
    step_A : float
        Largest grid step.
    learned : bool, optional
        Evaluate about a hundred points, learn the others, and give every descriptor an interval;
        False evaluates every point. True by default, but for the published protocol.
    max_energies : int, optional
        Energies of a learned landscape at the most; 2000 by default.
    min_width_A : float, optional
        Repeat the cell until it is this wide in every direction.
    radius_A : float, optional
        Points nearer than this to another ion are not evaluated; by default as the ion has it.
    carrier : {"vacancy", "interstitial"}, optional
        Make one in cells 8 A wide (or ``min_width_A``), for crystals that conduct only with it.
    reference : bool
        The published protocol: the cell as it is, every point, no symmetry.
    material_id : str, optional
        Identifier, for what is shown.
    database_uri : str, optional
        Where the row is from, if it is not the configured database.

    Raises
    ------
    InputError
        When the crystal cannot be read or computed.
    PotentialError
        When the potential cannot be loaded, or fails its self-check.
    FigureError
        When the landscape of the row is not in the database.

    Examples
    --------
    >>> import superionic as si
    >>> si.landscape("workflows/example_crystals/mp-22899.cif", mobile="Li", step_A=0.6)
    CrystalLandscape(LiI, mp-22899, mobile Li, chgnet:0.3.0, 7 x 7 x 7 points)
    """
    if isinstance(crystal, ScreeningDocument):
        return _stored(crystal, database_uri)
    candidate = as_candidate(crystal, material_id)
    if reference and learned:
        raise SettingsError("The published protocol is not learned.", hint="Choose one of them.")
    maker: Any = maker_of(
        "screen",
        mobile,
        potential,
        step_A=step_A,
        learned=defaults.LEARNED and not reference if learned is None else learned,
        max_energies=max_energies,
        min_width_A=min_width_A,
        radius_A=radius_A,
        carrier=carrier,
    )
    ion, preparing = maker.mobile_species, maker.prepare_maker.settings
    sampling = maker.landscape_maker.settings
    if reference:
        preparing = replace(preparing, primitive=False)
        sampling = replace(
            LandscapeSettings.reference(grid_step_A=step_A),
            exclusion_radius_A=sampling.exclusion_radius_A,
        )
    try:
        prepared = prepare(candidate, ion, preparing)
        loaded = load_potential(maker.potential)
        computed = compute_landscape(prepared.structure, ion, loaded, sampling)
    except SuperionicError as error:
        raise error.for_material(candidate.material_id) from None
    narrow = narrow_cell_remarks(computed.structure.lattice)
    remarks = [*prepared.warnings, *computed.remarks, *narrow]
    return CrystalLandscape(
        candidate.material_id,
        PotentialDocument.from_info(loaded.info),
        computed,
        tuple(Warning_.from_remarks(remarks)),
        tuple(prepared.steps),
        {"prepare": asdict(preparing), "landscape": asdict(sampling)},
    )


def _stored(row: ScreeningDocument, database_uri: str | None) -> CrystalLandscape:
    from superionic.report.documents import MaterialDocuments
    from superionic.store.collection.query import opened

    with opened(database_uri) as database:
        return CrystalLandscape.from_document(MaterialDocuments(row, database).need("landscape"))
