"""The check that waits for a GPU, in small on a processor: it proves, measures and can fail."""

import json

import pytest

pytestmark = pytest.mark.real_potential
SMALL = ["--device", "cpu", "--atoms", "4", "8", "--batches", "1", "2", "--each", "0.01"]


def test_it_proves_and_measures_on_a_processor(load_benchmark, tmp_path):
    check = load_benchmark("gpu_check")
    assert check.main([*SMALL, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "gpu_check.json").read_text())
    names = [proof["name"] for proof in found["proofs"]]
    for word in ("landscape", "dynamics", "random displacements", "force network"):
        assert any(word in name for name in names), word
    assert {rate["unit"] for rate in found["rates"]} == {
        "positions/s",
        "crystals/s",
        "atom-steps/s",
    }
    assert all(rate["per_second"] > 0 for rate in found["rates"])
    text = (tmp_path / "gpu_check.md").read_text()
    assert "differs" not in text
    assert all(name in text for name in names)


def test_it_fails_where_the_device_gives_other_energies(load_benchmark, tmp_path, monkeypatch):
    check = load_benchmark("gpu_check")

    class Shifted:
        def __init__(self, framework):
            self.framework = framework

        def energies(self, positions):
            return self.framework.energies(positions) + 0.01

    right = check.framework_on
    monkeypatch.setattr(
        check, "framework_on", lambda *given, **more: Shifted(right(*given, **more))
    )
    assert check.main([*SMALL, "--seconds", "0", "--out", str(tmp_path)]) == 1
    text = (tmp_path / "gpu_check.md").read_text()
    assert "**differs**" in text
    assert "the time was up" in text
