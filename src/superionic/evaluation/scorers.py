"""What is evaluated: descriptors, policies, the network, and baselines, as scores of materials."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from superionic.errors import SettingsError
from superionic.evaluation.fitting import FitSettings, held_out_scores
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.conductivity import Conductivity
from superionic.store.ranking.features import FEATURES, HIGHEST_BARRIER_eV
from superionic.store.ranking.policies import get_policy, policies

Need = Literal["landscape", "network", "bond valence"]

_DESCRIPTORS = (
    *("xi", "mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("fv_connected", "fv_disconnected", "free_volume_A3_per_ion"),
    *("fv_disconnected_2eV", "free_volume_2eV_A3_per_ion"),
    *("log10_diffusivity_ratio_1000K", "log10_diffusivity_ratio_min_1000K"),
)
_BASELINES = ("volume_A3_per_atom", "mobile_fraction")


@dataclass(frozen=True)
class Scorer:
    """Scores of materials, by identifier.

    Parameters
    ----------
    name, text : str
        Short name, and what it is.
    kind : str
        descriptor, network, policy or baseline.
    needs : str
        What a material must have, so that tables compare scores on the same materials.
    scores : dict of str to float
        Higher speaks for a conductor.
    unit : str
        ``log10 S/cm`` where they are conductivities; empty of others.
    """

    name: str
    text: str
    kind: str
    needs: Need
    scores: dict[str, float]
    unit: str = ""


@dataclass(frozen=True)
class Group:
    """Rows of one mobile species and potential.

    Parameters
    ----------
    mobile_species, potential : str
        Which.
    rows : list of ScreeningDocument
        Those that were computed, without predictions of networks that know the chemical system.
    names : dict of str to str
        For each identifier, further names of a crystal included, the one that was computed.
    n_trained : int
        Predictions that were left out since the network was trained on the chemical system.
    """

    mobile_species: str
    potential: str
    rows: list[ScreeningDocument]
    names: dict[str, str]
    n_trained: int

    def systems(self) -> dict[str, str]:
        """Return the chemical system of each identifier."""
        computed = {row.material_id: row.chemical_system for row in self.rows}
        return {name: computed[same] for name, same in self.names.items()}


def group_of(
    rows: Sequence[ScreeningDocument],
    mobile_species: str | None = None,
    potential: str | None = None,
) -> Group:
    """Return the rows of one mobile species and potential.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Any rows.
    mobile_species, potential : str, optional
        Which; by default the combination that most rows with a landscape have.

    Raises
    ------
    SettingsError
        When there is none.
    """
    wanted = [
        row
        for row in rows
        if mobile_species in (None, row.mobile_species) and potential in (None, row.potential)
    ]
    counts = Counter(row.ranked_among for row in wanted if row.xi is not None)
    if not counts:
        raise SettingsError(
            "There is no row with a landscape to evaluate.",
            hint="Screen crystals first, and name the species and potential that were used.",
        )
    chosen = max(sorted(counts), key=lambda pair: counts[pair])
    of_group = [row for row in wanted if row.ranked_among == chosen]
    computed = [row for row in of_group if row.duplicate_of is None]
    names = {row.material_id: row.material_id for row in computed}
    for row in of_group:
        if row.duplicate_of in names:
            names.setdefault(row.material_id, str(row.duplicate_of))
    trained = {row.key for row in computed if row.prediction_in_training}
    unseen = {"predicted_log10_msd_slope": None, "predicted_log10_msd_slope_low": None}
    return Group(
        *chosen[:2],
        rows=[row.model_copy(update=unseen) if row.key in trained else row for row in computed],
        names=names,
        n_trained=len(trained),
    )


def with_held_out(
    rows: Sequence[ScreeningDocument], predictions: Mapping[str, float]
) -> list[ScreeningDocument]:
    """Return rows with predictions of networks that had not seen their chemical systems.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows; their own predictions stay where there is no other.
    predictions : mapping of str to float
        Decimal logarithm of the slope in A^2/ps, by identifier.
    """
    return [
        row.model_copy(
            update={
                "predicted_log10_msd_slope": predictions[row.material_id],
                "predicted_log10_msd_slope_low": None,
                "prediction_in_training": False,
            }
        )
        if row.material_id in predictions
        else row
        for row in rows
    ]


def scorers_of(
    group: Group,
    conductors: Mapping[str, bool],
    bond_valence: Mapping[str, Mapping[int, float]] | None = None,
    settings: FitSettings | None = None,
) -> list[Scorer]:
    """Return all scores of a group's materials.

    Parameters
    ----------
    group : Group
        Its rows.
    conductors : mapping of str to bool
        Labelled materials, for the calibrated probability: each material's is by a model that has
        not seen its chemical system.
    bond_valence : mapping, optional
        Bond-valence barriers in eV, by identifier and number of dimensions.
    settings : FitSettings, optional
        How the calibrated probability is fitted.
    """
    found = [_feature(name, "descriptor", group) for name in _DESCRIPTORS]
    found += [_policy(name, "policy", "landscape", group) for name in ("free_volume", "consensus")]
    probabilities = held_out_scores(group.rows, conductors, settings)
    calibrated = "probability by a logistic regression that has not seen the chemical system"
    found.append(Scorer("calibrated", calibrated, "policy", "landscape", probabilities))
    found.append(_policy("network", "network", "network", group))
    found += [_feature(name, "baseline", group) for name in _BASELINES]
    found += _bond_valences(group, bond_valence)
    # A further name of a crystal has its scores.
    return [
        Scorer(
            one.name,
            one.text,
            one.kind,
            one.needs,
            {
                **{n: one.scores[same] for n, same in group.names.items() if same in one.scores},
                **one.scores,
            },
        )
        for one in found
        if one.scores
    ]


def package_scorers(
    group: Group,
    model: Conductivity | None,
    bond_valence: Mapping[str, Mapping[int, float]] | None = None,
) -> list[Scorer]:
    """Return the scores of a group by every policy of the package, and those of baselines.

    Parameters
    ----------
    group : Group
        Its rows.
    model : Conductivity or None
        Model of conductivities, for what the composition alone says.
    bond_valence : mapping, optional
        Bond-valence barriers in eV, by identifier and number of dimensions.
    """
    found = [_policy(name, "policy", "landscape", group) for name in policies()]
    if model is not None:
        known = [row for row in group.rows if model.lacks(row) is None]
        said = model.of_compositions(known) if known else []
        alone = {row.material_id: value for row, value in zip(known, said, strict=True)}
        text = "composition alone, by boosted trees that were fitted on measurements"
        found.append(Scorer("composition", text, "baseline", "landscape", alone, "log10 S/cm"))
    found.append(_feature("volume_A3_per_atom", "baseline", group))
    found += _bond_valences(group, bond_valence)
    return [one for one in found if one.scores]


def _bond_valences(
    group: Group, bond_valence: Mapping[str, Mapping[int, float]] | None
) -> list[Scorer]:
    found = []
    for dimension in (1, 3):
        values = {
            name: -barriers[dimension]
            for name, barriers in (bond_valence or {}).items()
            if name in group.names
        }
        text = f"bond-valence barrier in {dimension}D (eV)"
        found.append(
            Scorer(f"bond_valence_{dimension}d_eV", text, "baseline", "bond valence", values)
        )
    return found


def _feature(name: str, kind: str, group: Group) -> Scorer:
    feature = FEATURES[name]
    pairs = [(row.material_id, feature.oriented(row)) for row in group.rows]
    scores = {name: value for name, value in pairs if value is not None}
    return Scorer(name, feature.text, kind, "landscape", scores)


def _policy(name: str, kind: str, needs: Need, group: Group) -> Scorer:
    policy = get_policy(name)
    sign = -1.0 if policy.lower_is_better else 1.0
    scores = {
        place.row.material_id: sign * min(place.score, HIGHEST_BARRIER_eV)
        for place in policy.places(group.rows)
        if place.score is not None
    }
    unit = "log10 S/cm" if name == "conductivity" else ""
    return Scorer(name, policy.summary, kind, needs, scores, unit)
