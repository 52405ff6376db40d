"""Documents: every field described, units in names, arrays without loss."""

from datetime import UTC

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import BaseModel, ValidationError

from superionic.schemas.common import Document, PackedArray, utc_now
from superionic.schemas.document import FailureDocument
from superionic.schemas.screen import (
    DescriptorsDocument,
    LandscapeDocument,
    PreparedDocument,
    RelaxedDocument,
)
from superionic.schemas.screening import ScreeningDocument


def all_models(base: type[BaseModel] = Document) -> list[type[BaseModel]]:
    return [base, *(found for sub in base.__subclasses__() for found in all_models(sub))]


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_every_field_has_a_description(model):
    bare = [name for name, field in model.model_fields.items() if not field.description]
    assert not bare


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_no_field_is_named_state(model):
    assert "state" not in model.model_fields  # maggma's builders overwrite it


@pytest.mark.parametrize(
    "model", [PreparedDocument, RelaxedDocument, LandscapeDocument, DescriptorsDocument]
)
def test_provenance_is_part_of_every_material_document(model):
    provenance = {
        *("material_id", "formula", "mobile_species", "schema_version", "superionic_version"),
        *("settings", "task_key", "wall_time_s", "n_evaluations", "warnings", "job_uuid"),
        "last_updated",
    }
    assert provenance <= set(model.model_fields)
    if model is not PreparedDocument:
        assert "potential" in model.model_fields
    assert provenance - {"job_uuid"} <= set(ScreeningDocument.model_fields)
    assert {"schema_version", "superionic_version"} <= set(FailureDocument.model_fields)


def test_unknown_fields_are_refused():
    known = dict.fromkeys(("key", "material_id", "source", "code", "message", "hint"), "x")
    assert FailureDocument(**known, last_updated="now").traceback is None
    with pytest.raises(ValidationError, match="barrier"):
        FailureDocument(**known, last_updated="now", barrier=1)


def test_the_time_is_utc_in_milliseconds():
    now = utc_now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


@given(
    st.sampled_from([np.float64, np.float32, np.bool_, np.int64]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(*[st.integers(0, 4)] * 3))
    )
)
def test_packed_arrays_come_back_bit_by_bit(array):
    document = PackedArray.model_validate_json(PackedArray.pack(array).model_dump_json())
    back = document.unpack()
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    back[...] = 0  # a copy of its own


def test_packed_arrays_need_not_be_contiguous():
    array = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(PackedArray.pack(array).unpack(), array)
