"""Training: it learns, it sees no test crystal, and a killed run ends as one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import synthetic_set

from superionic.errors import CellTooLargeError, NetworkError
from superionic.network.batches import GraphTable
from superionic.network.data import TrainingSet
from superionic.network.model import ForceNetwork
from superionic.network.settings import (
    DIFFUSING,
    TARGET,
    LabelRules,
    NetworkSettings,
    TrainingSettings,
)
from superionic.network.training import fit_network, predict_crystals
from superionic.statistics import r_squared

NETWORK = NetworkSettings(cutoff_A=3.2, n_layers=1, channels=8)
QUICK = TrainingSettings(max_epochs=4, patience=0, learning_rate=5e-3, ema_decay=0.5)
TINY = NetworkSettings(cutoff_A=3.0, l_max=1, n_layers=1, channels=2, readout_hidden=4)


def fit(
    training_set, directory, *, learned=range(8), held_out=range(8, 10), settings=QUICK, **more
):
    more.setdefault("network_settings", TINY)
    table = GraphTable(training_set, more["network_settings"].cutoff_A)
    return fit_network(
        table,
        np.array(learned, dtype=np.int64),
        np.array(held_out, dtype=np.int64),
        settings=settings,
        targets=training_set.rules.targets,
        directory=directory,
        **more,
    )


def weights_of(fitted):
    return torch.cat([value.flatten().float() for value in fitted.network.state_dict().values()])


def test_it_learns_what_only_accelerations_tell(tmp_path):
    data = synthetic_set(65)
    settings = TrainingSettings(max_epochs=18, patience=0, learning_rate=8e-3)
    fitted = fit(
        data,
        tmp_path,
        learned=range(45),
        held_out=range(45, 50),
        settings=settings,
        network_settings=NETWORK,
    )
    test = np.arange(50, 65)
    values, _ = predict_crystals(fitted.network, GraphTable(data, NETWORK.cutoff_A), test)
    predicted = np.array([value.mean(axis=0)[0] for value in values])
    assert r_squared(data.targets[test, 0], predicted) > 0.9
    losses = [row["train_loss"] for row in fitted.history]
    assert losses[-1] < 0.2 * losses[0]
    assert fitted.best_epoch == int(np.argmin([row["validation_loss"] for row in fitted.history]))


def test_crystals_outside_the_training_change_nothing(tmp_path):
    data, other = synthetic_set(12), synthetic_set(12, seed=9)
    changed = TrainingSet(
        data.crystals[:10] + other.crystals[10:], data.shakes[:10] + other.shakes[10:]
    )
    first = fit(data, tmp_path / "a")
    assert torch.equal(weights_of(first), weights_of(fit(changed, tmp_path / "b")))
    other_seed = replace(QUICK, seed=1)
    again = fit(data, tmp_path / "c", settings=other_seed)
    assert not torch.equal(weights_of(first), weights_of(again))


def test_a_finished_run_is_not_run_again_and_another_is_refused(tmp_path):
    data = synthetic_set(10)
    first = fit(data, tmp_path)
    start = time.perf_counter()
    again = fit(data, tmp_path)
    assert time.perf_counter() - start < 0.5
    assert torch.equal(weights_of(first), weights_of(again))
    assert again.history == first.history
    assert (tmp_path / "metrics.csv").read_text().startswith("epoch,train_loss,validation_loss")
    for change in ({"settings": replace(QUICK, seed=3)}, {"learned": range(7)}, {"identity": "x"}):
        with pytest.raises(NetworkError, match="other settings or data"):
            fit(data, tmp_path, **change)


@pytest.mark.parametrize("name", ["network.pt", "run.json"])
def test_a_finished_run_that_cannot_be_read_is_run_again(tmp_path, caplog, name):
    data = synthetic_set(10)
    first = fit(data, tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"[1]"):
        path.write_bytes(damaged)
        caplog.clear()
        again = fit(data, tmp_path)
        assert torch.equal(weights_of(first), weights_of(again))
        assert again.history == first.history
        assert f"{path} cannot be read" in caplog.text
        assert "this training starts again" in caplog.text
        assert path.read_bytes()[:40] == whole[:40]


def test_other_weights_and_missing_metrics_are_no_finished_run(tmp_path, caplog):
    data = synthetic_set(10)
    first = fit(data, tmp_path)
    torch.save({"weights": {"other": torch.zeros(1)}, "best_epoch": 1}, tmp_path / "network.pt")
    assert torch.equal(weights_of(first), weights_of(fit(data, tmp_path)))
    (tmp_path / "metrics.csv").unlink()
    assert fit(data, tmp_path).history == first.history
    assert caplog.text.count("this training starts again") == 2
    # What was there is put aside, not lost.
    assert (tmp_path / "network.pt.unreadable").exists()


def test_a_run_of_another_format_is_run_again_and_one_without_a_number_is_of_the_first(
    tmp_path, caplog
):
    data = synthetic_set(10)
    fit(data, tmp_path)
    path = tmp_path / "run.json"
    stored = json.loads(path.read_text())
    assert stored.pop("format") == 1
    path.write_text(json.dumps(stored))
    trained = (tmp_path / "network.pt").stat().st_mtime_ns
    fit(data, tmp_path)
    assert (tmp_path / "network.pt").stat().st_mtime_ns == trained
    assert not caplog.records
    path.write_text(json.dumps(stored | {"format": 2}))
    fit(data, tmp_path)
    assert "is of format 2, not 1: this training starts again" in caplog.text
    assert json.loads(path.read_text()) == {"format": 1} | stored


@pytest.mark.parametrize("damage", ["half", "empty", "text", "weights", "state"])
def test_a_state_that_cannot_be_gone_on_from_is_not(tmp_path, caplog, damage, monkeypatch):
    data = synthetic_set(10)
    whole = fit(data, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    inner = GraphTable.epoch

    def epoch(self, crystals, number, **settings):
        if number == 2:
            raise StoppedError
        return inner(self, crystals, number, **settings)

    monkeypatch.setattr(GraphTable, "epoch", epoch)
    with pytest.raises(StoppedError):
        fit(data, tmp_path / "run")
    monkeypatch.undo()
    path = tmp_path / "run" / "last.ckpt"
    content = path.read_bytes()
    state = torch.load(path, weights_only=True)
    if damage == "weights":
        state["state_dict"].popitem()
        torch.save(state, path)
    elif damage == "state":
        del state["superionic"]["averages"]
        torch.save(state, path)
    else:
        halves = {"half": content[: len(content) // 2], "empty": b"", "text": b"no state"}
        path.write_bytes(halves[damage])
    again = fit(data, tmp_path / "run")
    assert [row["epoch"] for row in again.history] == [0, 1, 2, 3]
    assert again.history == whole.history
    assert torch.equal(weights_of(again), weights_of(whole))
    assert f"{path} cannot be gone on from" in caplog.text


def test_a_batch_that_does_not_fit_in_memory_is_explained(tmp_path, monkeypatch):
    forward, calls = ForceNetwork.forward, []

    def too_large(self, batch):
        calls.append(batch)
        if len(calls) > 6:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 TB")
        return forward(self, batch)

    monkeypatch.setattr(ForceNetwork, "forward", too_large)
    with pytest.raises(CellTooLargeError, match="batch of 8 shakes") as caught:
        fit(synthetic_set(12), tmp_path)
    assert "batch_size" in caught.value.hint

    def wrong(self, batch):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(ForceNetwork, "forward", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        fit(synthetic_set(12), tmp_path / "other")


def test_early_stopping_and_no_validation(tmp_path):
    data = synthetic_set(10)
    still = replace(QUICK, max_epochs=30, patience=2, learning_rate=1e-12)
    assert 3 <= len(fit(data, tmp_path / "a", settings=still).history) < 10
    alone = fit(data, tmp_path / "b", held_out=[])
    assert alone.best_epoch == QUICK.max_epochs - 1
    with pytest.raises(NetworkError, match="No crystal is left"):
        fit(data, tmp_path / "c", learned=[])


def test_targets_may_be_unknown_and_constant(tmp_path):
    data = synthetic_set(10)
    crystals = tuple(
        replace(crystal, targets={TARGET: -4.0, DIFFUSING: float("nan") if i % 2 else 1.0})
        for i, crystal in enumerate(data.crystals)
    )
    both = TrainingSet(crystals, data.shakes, LabelRules(targets=(TARGET, DIFFUSING)))
    fitted = fit(both, tmp_path)
    values, _ = predict_crystals(fitted.network, GraphTable(both, TINY.cutoff_A), np.arange(3))
    assert values[0].shape == (3, 2)
    assert np.isfinite(values[0]).all()
    unknown = tuple(replace(c, targets=c.targets | {DIFFUSING: float("nan")}) for c in crystals)
    with pytest.raises(NetworkError, match="unknown for all"):
        fit(TrainingSet(unknown, data.shakes, both.rules), tmp_path / "x")


def test_shakes_that_do_not_fit_together_are_predicted_in_parts(tmp_path, monkeypatch):
    data = synthetic_set(10, n_shakes=5)
    network, table = fit(data, tmp_path).network, GraphTable(data, TINY.cutoff_A)
    chosen = np.array([1, 7])
    values, features = predict_crystals(network, table, chosen)
    # What fits is one batch a crystal, as by the network itself.
    for row, (batch, _) in enumerate(table.by_crystal(chosen)):
        with torch.no_grad():
            found = network(batch)
        np.testing.assert_array_equal(values[row], found["targets"].numpy().astype(np.float64))
        mean = found["graph_features"].mean(dim=0).numpy().astype(np.float64)
        np.testing.assert_array_equal(features[row], mean)
    inner, limit, sizes = table.batch, 2, []

    def small(pairs):
        if len(pairs) > limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        sizes.append(len(pairs))
        return inner(pairs)

    monkeypatch.setattr(table, "batch", small)
    again, same = predict_crystals(network, table, chosen)
    assert sizes == [2, 1, 2] * 2
    for one, other in zip(again, values, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(same, features, rtol=1e-4, atol=1e-6)
    few, _ = predict_crystals(network, table, chosen, max_shakes=2)
    np.testing.assert_allclose(few[0], values[0][:2], rtol=1e-5)
    limit = 0
    with pytest.raises(CellTooLargeError, match="8 atoms"):
        predict_crystals(network, table, chosen)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import test_network_training as t
inner = t.GraphTable.epoch
def epoch(self, crystals, number, **settings):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, crystals, number, **settings)
t.GraphTable.epoch = epoch
t.fit(t.synthetic_set(10), t.Path(sys.argv[1]), settings=t.LONG)
"""
LONG = replace(QUICK, max_epochs=9)


@pytest.mark.process
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(Path(__file__).parent)]
    ended = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / "last.ckpt").exists()
    assert not (tmp_path / "killed" / "network.pt").exists()
    torch.set_num_threads(1)
    data = synthetic_set(10)
    resumed = fit(data, tmp_path / "killed", settings=LONG)
    unbroken = fit(data, tmp_path / "whole", settings=LONG)
    assert [row["epoch"] for row in resumed.history] == list(range(9))
    assert resumed.history == unbroken.history
    assert torch.equal(weights_of(resumed), weights_of(unbroken))
