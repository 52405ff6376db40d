"""The API asked what its own description allows, and what it does not: never an error of ours."""

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from serve_fixtures import REAL_KEY

pytestmark = pytest.mark.process

PATHS = (
    *("/api/about", "/api/rows", "/api/count", "/api/rows.csv", "/api/material"),
    *("/api/material/standings", "/api/material/figure", "/api/material/cif"),
    *("/api/material/cube", "/api/failures", "/api/campaign"),
)


@pytest.fixture(scope="module")
def description(served):
    schemathesis = pytest.importorskip("schemathesis")
    return schemathesis.openapi.from_url(served.url + "/openapi.json")


def test_every_endpoint_is_described(description):
    assert set(description.raw_schema["paths"]) == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_no_question_is_a_server_error(path, description):
    import requests
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    operation = description[path]["GET"]
    right, wrong = (
        operation.as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )
    has_parameters = bool(description.raw_schema["paths"][path]["get"].get("parameters"))
    checks = [
        not_a_server_error,
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    ]

    @hypothesis.settings(
        max_examples=20 if has_parameters else 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.seed(9)
    @hypothesis.given(case=right | wrong if has_parameters else right, knows_a_key=st.booleans())
    def ask(case, knows_a_key):
        if knows_a_key and isinstance(case.query, dict) and "key" in case.query:
            case.query["key"] = REAL_KEY
        case.call_and_validate(checks=checks, session=session)

    with requests.Session() as session:
        ask()
