"""The models that come with installed packages."""

import importlib.util

import pytest

from superionic.potentials import models
from superionic.potentials.models import MODELS, diagnose_models, models_here
from superionic.potentials.registry import load_potential, parse_spec


def test_specifications_are_canonical_and_each_is_there_once():
    assert [str(parse_spec(one.spec)).replace(" ", "") for one in MODELS] == [
        one.spec for one in MODELS
    ]
    assert len({one.spec for one in MODELS}) == len(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.spec)
def test_a_model_that_is_named_is_there(model):
    """Its weights lie in the package: nothing is downloaded."""
    if importlib.util.find_spec(model.package) is None:
        pytest.skip(f"{model.package} is not installed")
    assert load_potential(model.spec, check=False).info.weights_sha256


def test_the_doctor_names_them_and_leaves_out_what_is_not_installed(monkeypatch):
    assert MODELS[0] in models_here()
    finding = diagnose_models()
    assert finding.ok is None
    assert "chgnet:r2scan" in finding.text
    found = importlib.util.find_spec

    def without(name, *arguments):
        return None if name == "sevenn" else found(name, *arguments)

    monkeypatch.setattr(models.importlib.util, "find_spec", without)
    assert "sevennet" not in diagnose_models().text
