"""The ensemble that comes with the package is the one that the study and its card speak of."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

pytest.importorskip("e3nn")

from studies.force_network.settings import StudySettings, read_study
from studies.force_network.summary import SPLIT_TEXT, markdown
from superionic.network.card import model_card
from superionic.network.data import LabelSet
from superionic.network.inference import Ensemble, shipped_ensemble
from superionic.network.labels import read_labels
from superionic.network.settings import settings_to_dict
from superionic.network.shakes import shake_crystal
from superionic.potentials.registry import load_potential
from superionic.report.tables.labels import read_data_set
from superionic.report.tables.text_table import write_page
from superionic.structures.readers import read_candidates

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def shipped() -> Ensemble:
    return Ensemble.load(shipped_ensemble())


@pytest.fixture(scope="module")
def study() -> StudySettings:
    return read_study(ROOT / "workflows" / "train_force_network.yaml")


@pytest.fixture(scope="module")
def labels(shipped, study) -> LabelSet:
    return read_labels(*map(Path, study.label_files), rules=shipped.header.labels)


@pytest.fixture(scope="module")
def labelled(study) -> set[str]:
    """Identifiers of all crystals with a label, whether it is learned or not."""
    return {c.material_id for file in study.label_files for c in read_candidates([Path(file)])}


def test_it_is_what_the_study_file_asks_for(shipped, study):
    variant = next(v for v in study.all_variants() if v.name == study.ensemble.variant)
    wanted = study.resolved(variant)
    header = shipped.header
    assert len(shipped.members) == study.ensemble.n_members
    for name in ("network", "shakes", "training", "labels"):
        assert settings_to_dict(getattr(header, name)) == settings_to_dict(getattr(wanted, name))
    assert header.calibration is not None
    assert header.calibration.folds == "chemical_system"


def test_it_has_learned_the_published_labels(shipped, labels):
    assert shipped.header.n_crystals == len(labels)
    assert shipped.header.chemical_systems == tuple(
        sorted({c.chemical_system for c in (*labels.crystals, *labels.train_only)})
    )
    assert {c.potential_weights_sha256 for c in labels.crystals} == {
        shipped.header.potential.weights_sha256
    }


def test_the_first_untouched_test_was_of_another_network(shipped, labels, labelled):
    """What was predicted before it was labelled is learned now: by this network, not by that."""
    kept = json.loads((RESULTS / "untouched_40_predictions.json").read_text())
    tested = {row["material_id"] for row in kept["predictions"]}
    assert len(tested) == 40
    assert len(tested & {crystal.material_id for crystal in labels.crystals}) > 30
    assert hashlib.sha256(shipped_ensemble().read_bytes()).hexdigest() != kept["network_sha256"]
    assert shipped.header.potential.weights_sha256 == kept["potential_weights_sha256"]
    # Nothing that is planned is left.
    planned = read_candidates([ROOT / "workflows" / "label_1000K_crystals.jsonl"])
    assert {c.material_id for c in planned} <= labelled


def test_beside_labels_it_has_learned_what_melts_and_nothing_else(shipped, study, labels):
    rows = read_data_set(ROOT / "datasets" / "labels_700K.jsonl")
    firm = {row.material_id for row in rows if row.verdict != "melted"}
    assert shipped.header.n_unlabelled == len(labels.train_only) == 30
    assert {crystal.material_id for crystal in labels.train_only} == firm
    (learner,) = [v for v in study.all_variants() if v.name == study.ensemble.variant]
    assert (learner.unlabelled, study.pretraining) == (False, None)


def test_it_is_the_network_of_the_second_untouched_test_and_has_learned_nothing_of_it(labelled):
    kept = json.loads((RESULTS / "untouched_30_predictions.json").read_text())
    assert hashlib.sha256(shipped_ensemble().read_bytes()).hexdigest() == kept["network_sha256"]
    tested = {row["material_id"] for row in kept["predictions"]}
    campaign = ROOT / "workflows" / "label_1000K_untouched_crystals.jsonl"
    assert {crystal.material_id for crystal in read_candidates([campaign])} == tested
    assert len(tested) == 30
    assert not labelled & tested


def test_card_and_study_are_of_this_file(shipped):
    card = (shipped_ensemble().parent / "README.md").read_text()
    assert hashlib.sha256(shipped_ensemble().read_bytes()).hexdigest() in card
    assert shipped_ensemble().stat().st_size < 5e6
    summary = json.loads((ROOT / "benchmarks" / "results" / "force_network.json").read_text())
    assert summary["n_crystals"] == shipped.header.n_crystals
    kept = summary["settings"]["ensemble"]
    wanted = (kept["variant"], kept["split"])
    row = next(r for r in summary["models"] if (r["variant"], r["split"]) == wanted)
    measured = row["metrics"][f"{shipped.header.labels.floor_A2_per_ps:g}"]
    named = f"| **this network** | {SPLIT_TEXT[kept['split']]} |"
    line = next(line for line in card.splitlines() if line.startswith(named))
    for measure in ("r_squared", "spearman", "roc_auc"):
        assert f"| {measured[measure]['value']:.2f} [" in line


def test_the_card_is_what_the_study_and_the_file_make(shipped, study, labels):
    """Written again from both, it is the same text."""
    summary = json.loads((RESULTS / "force_network.json").read_text())
    assert shipped.header.training_set_sha256 == summary["training_set_sha256"]
    card = model_card(
        shipped.header,
        summary,
        study.ensemble.variant,
        hashlib.sha256(shipped_ensemble().read_bytes()).hexdigest(),
        " and ".join(summary["settings"]["data"]),
        labels,
    )
    assert (shipped_ensemble().parent / "README.md").read_text() == card
    assert "of small cells and of 30 ps at most" in card
    assert "30 without a label at 1000 K (melted)" in card


def test_the_page_has_the_tables_of_the_study(tmp_path):
    summary = json.loads((RESULTS / "force_network.json").read_text())
    page, again = ROOT / "docs" / "force_network.md", tmp_path / "page.md"
    again.write_text(page.read_text())
    tables = "\n".join(markdown(summary, float(floor)) for floor in summary["references"])
    write_page(again, tables, "studies.force_network")
    assert again.read_text() == page.read_text()


@pytest.mark.real_potential
def test_it_predicts_a_crystal(shipped, licl):
    shakes = shake_crystal(
        AseAtomsAdaptor.get_atoms(licl), load_potential("chgnet"), shipped.header.shakes
    )
    prediction = shipped.predict(shakes)
    floor = math.log10(shipped.header.labels.floor_A2_per_ps)
    assert floor - 1 < prediction.low < prediction.log10_msd_slope < prediction.high < 3
    assert prediction.high - prediction.low == pytest.approx(
        2 * shipped.header.calibration.half_width_95
    )
    assert np.isfinite(prediction.novelty)
    assert shipped.header.has_learned("Cl-Li") is False or prediction.far is False
