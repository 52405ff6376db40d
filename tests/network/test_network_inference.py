"""Ensembles: files, spreads, intervals that cover what they say, and remarks."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import INFO, synthetic_set

from superionic.errors import CellTooLargeError, NetworkError
from superionic.network import inference
from superionic.network.checkpoint import (
    IntervalCalibration,
    Member,
    NetworkHeader,
    load_ensemble,
    save_ensemble,
)
from superionic.network.graphs import shake_graphs
from superionic.network.inference import Ensemble, calibrate, evaluate, feature_distance
from superionic.network.model import ForceNetwork
from superionic.network.settings import (
    DIFFUSING,
    TARGET,
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
)

SHAPE = NetworkSettings(cutoff_A=3.0, n_layers=1, channels=2, readout_hidden=4)


@pytest.fixture(scope="module")
def data():
    return synthetic_set(8, n_shakes=4)


@pytest.fixture
def ensemble(data):
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = ForceNetwork(SHAPE, (TARGET, DIFFUSING)).eval()
        features = [
            evaluate(network, shake_graphs(shakes, SHAPE.cutoff_A))[1].mean(axis=0)
            for shakes in data.shakes
        ]
        members.append(Member(network, torch.as_tensor(np.array(features))))
    header = NetworkHeader(
        network=SHAPE,
        shakes=ShakeSettings(amplitudes_A=(0.2,), n_shakes=4),
        training=TrainingSettings(),
        labels=LabelRules(targets=(TARGET, DIFFUSING)),
        potential=INFO,
        training_set_sha256=data.sha256(),
        n_crystals=8,
        targets=(TARGET, DIFFUSING),
        calibration=IntervalCalibration(0.01, 3.0, 40, "chemical_system"),
    )
    return Ensemble(members, header)


def test_mean_spreads_and_interval(ensemble, data):
    found = ensemble.predict(data.shakes[0])
    graphs = shake_graphs(data.shakes[0], SHAPE.cutoff_A)
    every = np.array([evaluate(m.network, graphs)[0] for m in ensemble.members])
    assert every.shape == (3, 4, 2)
    assert found.log10_msd_slope == pytest.approx(every[:, :, 0].mean())
    assert found.shake_spread == pytest.approx(np.std(every[:, :, 0].mean(axis=0), ddof=1))
    assert found.ensemble_spread == pytest.approx(np.std(every[:, :, 0].mean(axis=1), ddof=1))
    assert found.shake_spread > 0
    assert found.ensemble_spread > 0
    assert (found.low, found.high) == pytest.approx(
        (found.log10_msd_slope - 0.01, found.log10_msd_slope + 0.01)
    )
    assert found.others == {DIFFUSING: pytest.approx(every[:, :, 1].mean())}
    assert found.far is False
    assert found.remarks == ()
    one = ensemble.predict(data.shakes[0].first(1))
    assert one.shake_spread == 0.0
    assert one.log10_msd_slope == pytest.approx(every[:, 0, 0].mean())


def test_remarks(ensemble, data):
    shakes = data.shakes[0]
    other = replace(shakes, potential=replace(INFO, name="other", weights_sha256="other"))
    assert [remark.code for remark in ensemble.predict(other).remarks] == ["other_potential"]
    larger = replace(shakes, amplitudes_A=shakes.amplitudes_A * 2)
    assert [remark.code for remark in ensemble.predict(larger).remarks] == ["other_shakes"]
    by_mass = replace(shakes, mass_exponent=0.5)
    assert [remark.code for remark in ensemble.predict(by_mass).remarks] == ["other_shakes"]
    for force, codes in ((0.99, []), (1.01, ["not_at_rest"])):
        found = ensemble.predict(replace(shakes, residual_force_eV_per_A=force))
        assert [remark.code for remark in found.remarks] == codes
    assert "1.0 eV/A" in found.remarks[0].text
    strange = replace(shakes, accelerations_A_per_ps2=shakes.accelerations_A_per_ps2 * 1e6)
    found = ensemble.predict(strange)
    assert found.far is True
    assert [remark.code for remark in found.remarks] == ["far_from_training_set"]
    uncalibrated = Ensemble(ensemble.members, replace(ensemble.header, calibration=None))
    found = uncalibrated.predict(shakes)
    assert (found.low, found.high, found.far) == (None, None, None)
    assert [remark.code for remark in found.remarks] == ["not_calibrated"]


def test_it_answers_only_where_the_interval_lies_on_one_side_of_an_angstrom_a_picosecond(
    ensemble, data
):
    mean = ensemble.predict(data.shakes[0]).log10_msd_slope
    for half, codes in ((abs(mean) - 0.01, []), (abs(mean) + 0.01, ["undecided"])):
        calibration = replace(ensemble.header.calibration, half_width_95=half)
        header = replace(ensemble.header, calibration=calibration)
        found = Ensemble(ensemble.members, header).predict(data.shakes[0])
        assert [remark.code for remark in found.remarks] == codes
    assert "superionic screen" in found.remarks[0].text
    calibration = replace(calibration, half_width_95=0.1, per_ensemble_spread=2.0)
    header = replace(ensemble.header, calibration=calibration)
    found = Ensemble(ensemble.members, header).predict(data.shakes[0])
    assert found.high - found.low == pytest.approx(0.2 + 4.0 * found.ensemble_spread)


def test_what_does_not_fit_in_memory_is_split(ensemble, data, monkeypatch):
    expected = ensemble.predict(data.shakes[1])
    n_atoms = data.shakes[1].positions_A.shape[1]
    inner = inference.collate
    limit = n_atoms * 2

    def small(graphs, *rest):
        if sum(len(graph) for graph in graphs) > limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        return inner(graphs, *rest)

    monkeypatch.setattr(inference, "collate", small)
    found = ensemble.predict(data.shakes[1])
    np.testing.assert_allclose(found.by_shake, expected.by_shake, rtol=1e-5)
    limit = 1
    with pytest.raises(CellTooLargeError, match="8 atoms"):
        ensemble.predict(data.shakes[1])


def test_a_file_brings_back_the_same_numbers(ensemble, data, tmp_path):
    path = tmp_path / "network.pt"
    save_ensemble(path, ensemble.members, ensemble.header)
    loaded = Ensemble.load(path)
    assert loaded.header == ensemble.header
    expected, found = ensemble.predict(data.shakes[2]), loaded.predict(data.shakes[2])
    np.testing.assert_array_equal(found.by_shake, expected.by_shake)
    assert found.novelty == pytest.approx(expected.novelty, rel=1e-5)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_files_that_are_not_ours(ensemble, tmp_path, capsys):
    path = tmp_path / "network.pt"
    save_ensemble(path, ensemble.members, ensemble.header)
    good = torch.load(path, weights_only=True)
    whole = path.read_bytes()

    def refused(match):
        with pytest.raises(NetworkError, match=match):
            load_ensemble(path)

    path.write_text("not a checkpoint")
    refused("cannot be read as a force network")
    path.write_bytes(whole[: len(whole) // 2])
    refused("cannot be read")
    path.write_bytes(pickle.dumps(Evil()))
    refused("never executed")
    torch.save(good | {"extra": Evil()}, path)
    refused("never executed")
    assert "executed" not in capsys.readouterr().out
    torch.save({"weights": torch.zeros(3)}, path)
    refused("is not a force network")
    torch.save(good | {"version": 99}, path)
    refused("format version 99")
    torch.save(good | {"header": good["header"].replace("cutoff_A", "cut")}, path)
    refused("header .* no setting cut")
    torch.save(good | {"header": good["header"].replace('"channels": 2', '"channels": 3')}, path)
    refused("do not fit its settings")
    path.unlink()
    refused("There is no file")


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        errors = rng.standard_t(3, size=60)
        found = calibrate(errors, np.ones(60), "random")
        covered.append(abs(rng.standard_t(3)) <= found.half_width_95)
    assert 0.92 <= np.mean(covered) <= 0.99
    assert calibrate(np.ones(18), np.ones(18), "random") is None
    assert calibrate(np.arange(19), np.arange(19), "random").half_width_95 == 18


def test_intervals_that_grow_with_spreads_hold_where_predictions_scatter_and_where_not():
    rng = np.random.default_rng(0)
    held = {"one width": [], "by spread": []}
    widths = []
    for _ in range(200):
        spreads = rng.uniform(0.02, 1.0, size=(121, 2))
        errors = rng.standard_normal(121) * spreads[:, 1]  # the other spread says nothing
        learnt = slice(0, 120)
        same = calibrate(errors[learnt], np.ones(120), "random")
        own = calibrate(errors[learnt], np.ones(120), "random", spreads[learnt])
        half = own.half_width(*spreads[120])
        calm = spreads[120, 1] < 0.5
        held["one width"].append((calm, abs(errors[120]) <= same.half_width(*spreads[120])))
        held["by spread"].append((calm, abs(errors[120]) <= half))
        widths.append((calm, half / same.half_width_95))
    for calm in (True, False):
        of_kind = [inside for is_calm, inside in held["by spread"] if is_calm == calm]
        assert 0.9 <= np.mean(of_kind) <= 1.0
    assert np.mean([inside for calm, inside in held["one width"] if calm]) == 1.0
    assert np.mean([width for calm, width in widths if calm]) < 0.7
    assert np.mean([width for calm, width in widths if not calm]) > 1.0


def test_distance_of_features():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(50, 3)) * np.array([1.0, 100.0, 1e-3])
    near, far = reference[:1] + 1e-6, reference[:1] + np.array([[0, 0, 0.05]])
    assert feature_distance(near, reference)[0] < feature_distance(far, reference)[0]
    assert feature_distance(far, reference)[0] > 20
