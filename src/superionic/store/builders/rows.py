"""From all documents of a material, mobile species, potential and settings to one row."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from superionic.schemas.common import LABEL_TEMPERATURE_K, MaterialDocument, Warning_
from superionic.schemas.document import Interval, digest
from superionic.schemas.label import DiffusionDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import DescriptorsDocument, Origins
from superionic.schemas.screening import PARTS, LabelSummary, Part, RunSummary, ScreeningDocument
from superionic.schemas.settings_label import settings_label
from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import RowIdentity

D = TypeVar("D", bound=MaterialDocument)

VOLUME_THRESHOLD_eV = 2.0
_COPIED = [
    "mpe_eV",
    "barrier_1d_eV",
    "barrier_2d_eV",
    "barrier_3d_eV",
    "fv_connected",
    "fv_disconnected",
    "xi",
]
_SAME_IN_LABEL = sorted(set(LabelSummary.model_fields) & set(DiffusionDocument.model_fields))
_SAME_IN_VALIDATION = (
    *("conductivity_S_per_cm", "conductivity_low_S_per_cm", "conductivity_high_S_per_cm"),
    *("conductivity_300K_S_per_cm", "conductivity_300K_low_S_per_cm"),
    *("conductivity_300K_high_S_per_cm", "activation_energy_eV", "activation_energy_error_eV"),
)


def screening_document(
    documents: Iterable[MaterialDocument], unreadable: Iterable[RunSummary] = ()
) -> ScreeningDocument:
    """Make one row from all documents of a material, whatever parts there are.

    Parameters
    ----------
    documents : iterable of MaterialDocument
        Descriptors with one set of settings, predictions, labels and validations of one material,
        mobile species and potential with the same weights, at least one. The newest of a kind
        counts; of
        labels, the newest of each temperature and seed, and before all the one nearest to 1000 K.
    unreadable : iterable of RunSummary
        Runs whose document could not be read; they are listed.

    Returns
    -------
    ScreeningDocument
        Without ranks.
    """
    ordered = sorted(documents, key=lambda document: document.last_updated)
    landscape = _newest(ordered, DescriptorsDocument)
    prediction = _newest(ordered, PredictionDocument)
    labels = _newest_labels(ordered)
    label = labels[0] if labels else None
    validation = _newest(ordered, ValidationDocument)
    parts: dict[Part, MaterialDocument | None] = {
        "landscape": landscape,
        "prediction": prediction,
        "label": label,
        "validation": validation,
    }
    base: Any = landscape or label or prediction or validation
    used = [one for one in (landscape, prediction, *labels, validation) if one is not None]
    runs = [_run(one, any(one is other for other in used)) for one in ordered]
    runs = sorted([*runs, *unreadable], key=lambda run: (run.last_updated, run.job_uuid or ""))
    fields = _crystal(base) | _landscape(landscape) | _prediction(prediction)
    fields |= _label(label) | _validation(validation)
    potential = base.potential
    settings = settings_label(base.settings, base.mobile_species) if landscape else ""
    identity = RowIdentity(
        *(base.material_id, base.mobile_species, potential.label, potential.weights_sha256),
        settings,
    )
    return ScreeningDocument(
        **fields,
        key=identity.key,
        superionic_version=ordered[-1].superionic_version,
        potential=potential.label,
        potential_weights_sha256=potential.weights_sha256,
        potential_package_version=potential.package_version,
        task_key=base.task_key,
        settings=base.settings,
        settings_label=settings,
        present=[part for part in PARTS if parts[part] is not None],
        missing=[part for part in PARTS if parts[part] is None],
        labels=[_label_summary(one) for one in _hottest_first(labels)],
        warnings=_warnings(used),
        runs=runs,
        n_runs=len(runs),
        last_updated=ordered[-1].last_updated.isoformat(),
    )


def unreadable_run(kind: str, job_uuid: str | None, last_updated: str) -> RunSummary:
    """Return what is kept of a run whose document cannot be read."""
    return RunSummary(
        kind=kind, job_uuid=job_uuid, last_updated=last_updated, used=False, readable=False
    )


def _newest(ordered: Sequence[MaterialDocument], model: type[D]) -> D | None:
    found = [one for one in ordered if isinstance(one, model)]
    return found[-1] if found else None


def _newest_labels(ordered: Sequence[MaterialDocument]) -> list[DiffusionDocument]:
    """Return the newest label of each temperature and seed, the one that counts first."""
    newest = {
        (one.temperature_K, one.seed): one for one in ordered if isinstance(one, DiffusionDocument)
    }

    def distance(one: DiffusionDocument) -> tuple[float, float]:
        return abs(one.temperature_K - LABEL_TEMPERATURE_K), -one.last_updated.timestamp()

    return sorted(newest.values(), key=distance)


def _hottest_first(labels: Sequence[DiffusionDocument]) -> list[DiffusionDocument]:
    return sorted(labels, key=lambda one: (-one.temperature_K, one.seed))


def _crystal(document: Any) -> dict[str, Any]:
    """Return what a document says of its crystal, per cell and not per supercell."""
    n_cells = 1.0
    origins: Origins = document if isinstance(document, Origins) else Origins()
    if isinstance(document, DiffusionDocument | ValidationDocument):
        n_cells = max(1.0, abs(round(float(np.linalg.det(document.supercell_matrix)))))
    if isinstance(document, DiffusionDocument | PredictionDocument | ValidationDocument):
        origins = Origins.from_provenance(document.provenance)
    same = [
        "material_id",
        "formula",
        "mobile_species",
        "elements",
        "chemical_system",
        "relaxed",
        "source",
    ]
    return {
        **{name: getattr(document, name) for name in same},
        **{name: getattr(origins, name) for name in Origins.model_fields},
        "n_atoms": round(document.n_atoms / n_cells),
        "n_mobile": round(document.n_mobile / n_cells),
        "volume_A3": document.volume_A3 / n_cells,
        "volume_A3_per_atom": document.volume_A3 / document.n_atoms,
        "mobile_fraction": document.n_mobile / document.n_atoms,
    }


def _landscape(document: DescriptorsDocument | None) -> dict[str, Any]:
    if document is None:
        return {}

    def at(threshold_eV: float, values: Sequence[float]) -> float | None:
        pairs = dict(zip(document.thresholds_eV, values, strict=True))
        return pairs.get(threshold_eV)

    ratios = document.diffusivity_ratios_1000K
    return {
        "intervals": _intervals(document),
        "ending": document.ending,
        "prior_potential": document.prior and document.prior.potential.label,
        **{name: getattr(document, name) for name in _COPIED},
        "diffusivity_ratio_1000K": None if ratios is None else sum(ratios) / len(ratios),
        "diffusivity_ratio_min_1000K": None if ratios is None else min(ratios),
        "fv_disconnected_2eV": at(VOLUME_THRESHOLD_eV, document.fv_disconnected_union),
        "free_volume_A3_per_ion": at(0.5, document.free_volume_A3_per_ion),
        "free_volume_2eV_A3_per_ion": at(VOLUME_THRESHOLD_eV, document.free_volume_A3_per_ion),
        "n_evaluations": document.n_evaluations,
        "wall_time_s": document.total_wall_time_s,
        "descriptors_uuid": document.job_uuid,
        "descriptors_version": document.descriptors_version,
        "landscape_uuid": document.landscape_uuid,
    }


def _intervals(document: DescriptorsDocument) -> dict[str, Interval]:
    """Return the intervals of a row's numbers, by their names in the row."""
    if (known := document.intervals) is None:
        return {}
    found = {name: getattr(known, name) for name in ("xi", *_COPIED[:4])}
    found["diffusivity_ratio_min_1000K"] = known.diffusivity_ratios_1000K[0]
    for name, threshold_eV, values in (
        ("fv_connected", 0.5, known.fv_connected_union),
        ("fv_disconnected", 0.5, known.fv_disconnected_union),
        ("fv_disconnected_2eV", VOLUME_THRESHOLD_eV, known.fv_disconnected_union),
        ("free_volume_A3_per_ion", 0.5, known.free_volume_A3_per_ion),
        ("free_volume_2eV_A3_per_ion", VOLUME_THRESHOLD_eV, known.free_volume_A3_per_ion),
    ):
        at = dict(zip(document.thresholds_eV, values, strict=True))
        found |= {name: at[threshold_eV]} if threshold_eV in at else {}
    return found


def _prediction(document: PredictionDocument | None) -> dict[str, Any]:
    if document is None:
        return {}
    return {
        "predicted_log10_msd_slope": document.log10_msd_slope,
        "predicted_log10_msd_slope_low": document.log10_msd_slope_low,
        "predicted_log10_msd_slope_high": document.log10_msd_slope_high,
        "prediction_spread_shakes": document.spread_shakes,
        "prediction_spread_ensemble": document.spread_ensemble,
        "prediction_in_training": document.in_training,
        "prediction_flags": document.flags,
        "network": document.network,
        "network_sha256": document.network_sha256,
        "prediction_uuid": document.job_uuid,
    }


def _label(document: DiffusionDocument | None) -> dict[str, Any]:
    if document is None:
        return {}
    slope = document.slope
    return {
        "label_verdict": document.verdict,
        "label_temperature_K": document.temperature_K,
        "msd_slope_A2_per_ps": slope and slope.slope_A2_per_ps,
        "msd_slope_low_A2_per_ps": slope and slope.low_A2_per_ps,
        "msd_slope_high_A2_per_ps": slope and slope.high_A2_per_ps,
        "label_uuid": document.job_uuid,
    }


def _validation(document: ValidationDocument | None) -> dict[str, Any]:
    if document is None:
        return {}
    return {
        **{name: getattr(document, name) for name in _SAME_IN_VALIDATION},
        "validation_verdict": document.verdict,
        "validation_reason": document.verdict_reason,
        "validation_temperature_K": document.deciding_temperature_K,
        "validation_uuid": document.job_uuid,
    }


def _label_summary(document: DiffusionDocument) -> LabelSummary:
    slope = document.slope
    return LabelSummary(
        **{name: getattr(document, name) for name in _SAME_IN_LABEL},
        msd_slope_A2_per_ps=slope and slope.slope_A2_per_ps,
        msd_slope_low_A2_per_ps=slope and slope.low_A2_per_ps,
        msd_slope_high_A2_per_ps=slope and slope.high_A2_per_ps,
        msd_slope_upper_bound_A2_per_ps=document.slope_upper_bound_A2_per_ps,
        weights_sha256=document.potential.weights_sha256,
    )


def _run(document: Any, used: bool) -> RunSummary:
    same = ["kind", "job_uuid", "superionic_version", "n_evaluations", "wall_time_s"]
    return RunSummary(
        **{name: getattr(document, name) for name in same},
        last_updated=document.last_updated.isoformat(),
        used=used,
        settings_sha256=digest(document.settings),
        weights_sha256=document.potential.weights_sha256,
    )


def _warnings(used: Sequence[Any]) -> list[Warning_]:
    """Return the warnings of all parts, each once."""
    return list({(one.code, one.text): one for part in used for one in part.warnings}.values())
