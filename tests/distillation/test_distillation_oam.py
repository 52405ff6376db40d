"""chgnet:oam, the student that comes with the package, and the frames that it has learned."""

from pathlib import Path

import pytest

from superionic.distillation.dataset import read_frames, teacher_of
from superionic.distillation.quality import errors_of, evaluate
from superionic.distillation.student import load_student
from superionic.distillation.training import split
from superionic.potentials.registry import identify_potential, load_potential

FRAMES = Path(__file__).parents[2] / "datasets" / "frames_nequix_oam_1.npz"


@pytest.mark.real_potential
def test_it_is_less_soft_on_chemical_systems_that_it_has_not_learned():
    parts = split(read_frames([FRAMES]), 0)
    assert sum(map(len, parts.values())) > 10_000
    chosen = sorted({one.crystal for one in parts["test"]})[::10]
    members = [one for one in parts["test"] if one.kind == "md" and one.crystal in chosen]
    assert len(members) > 50
    errors = {}
    for name in ("0.3.0", "oam"):
        model = load_student(name).requires_grad_(False).eval()
        [errors[name]] = errors_of(members, evaluate(model, members))
    before, after = errors["0.3.0"], errors["oam"]
    assert before.slope < 0.9
    assert 0.93 < after.slope < 1.02
    assert after.force_mae_eV_per_A < 0.9 * before.force_mae_eV_per_A
    assert after.energy_mae_meV_per_atom < before.energy_mae_meV_per_atom


def test_its_card_names_its_teacher_and_its_weights_have_an_identity_of_their_own():
    from superionic.potentials.chgnet import OWN_MODELS

    teacher = teacher_of([FRAMES])
    card = OWN_MODELS["oam"].with_suffix(".md").read_text()
    assert teacher["weights_sha256"][:16] in card
    assert "7007 frames of 435 chemical systems" in card
    info = identify_potential("chgnet:oam")
    assert info.label == "chgnet:oam"
    assert info.weights_sha256 == load_potential("chgnet:oam", check=False).info.weights_sha256
    assert info.weights_sha256 != identify_potential("chgnet").weights_sha256
