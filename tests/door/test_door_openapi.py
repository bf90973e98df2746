"""The OpenAPI document: whole, and true for what schemathesis makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis.generation import GenerationMode
from schemathesis.openapi.checks import UndefinedStatusCode

from models.views import CaseView
from models.wire import INBOUND
from office.base.settings import Settings
from office.cases.locks import UnknownCase
from tests.door.doorkit import TOKENS, Door, door_of, traces
from webhooks.app import create_app
from webhooks.senders.platform import envelope_name, example

quiet = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)


def nobody(case_id: str) -> CaseView:
    raise UnknownCase(case_id)


@pytest.fixture
def reader(installation: Settings) -> Door:
    return door_of(installation, case_view=nobody)


def test_the_document_describes_every_route_and_every_reference_resolves(installation: Settings) -> None:
    document = create_app(installation).openapi()
    assert set(document["paths"]) == {
        "/webhooks/platform",
        "/cases/{id}",
        "/shops/{id}/accounts",
        "/accounts/tickets/{ticket}",
        "/evidence",
        "/evidence/{id}",
        "/healthz",
        "/readyz",
    }
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= document["components"]["schemas"].keys()
    assert {envelope_name(type_) for type_ in INBOUND} <= names


@pytest.mark.parametrize("type_", sorted(INBOUND))
def test_every_example_fits_the_schema_that_is_published(installation: Settings, type_: str) -> None:
    document = create_app(installation).openapi()
    schema = {"$ref": f"#/components/schemas/{envelope_name(type_)}", "components": document["components"]}
    Draft202012Validator(schema).validate(example(INBOUND[type_]))


def body_of(case: Any) -> bytes:
    return json.dumps(case.body).encode()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_schemathesis_sends_signed_is_answered_as_documented(reader: Door, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(reader.app.openapi())
    operation = schema["/webhooks/platform"]["POST"]
    body = operation.definition.raw["requestBody"]["content"]["application/json"]["schema"]
    published = Draft202012Validator({**body, "components": reader.app.openapi()["components"]})
    codes = {int(code) for code in operation.definition.raw["responses"]}
    seen: set[int] = set()

    @quiet
    @given(case=operation.as_strategy(generation_mode=mode), number=st.integers(0, 10**12))
    def exercise(case: Any, number: int) -> None:
        if not isinstance(case.body, dict | list | str | int | float | bool | None):
            return
        before = traces()
        answer = reader.post(body_of(case), message_id=f"m-{number}")
        seen.add(answer.status_code)
        assert answer.status_code in codes
        if answer.status_code == 202:
            assert published.is_valid(case.body)
        elif answer.status_code != 409:
            assert answer.headers["content-type"] == "application/problem+json"
            assert traces() == before

    exercise()
    assert (202 if mode is GenerationMode.POSITIVE else 422) in seen


@pytest.mark.parametrize(
    "path", ["/cases/{id}", "/shops/{id}/accounts", "/accounts/tickets/{ticket}", "/healthz", "/readyz"]
)
def test_what_schemathesis_reads_is_answered_as_documented(reader: Door, path: str) -> None:
    schema = schemathesis.openapi.from_dict(reader.app.openapi())
    operation = schema[path]["GET"]

    @quiet
    @given(case=operation.as_strategy())
    def exercise(case: Any) -> None:
        headers = {"authorization": f"Bearer {TOKENS[0]}"}
        answer = reader.client.get(case.formatted_path, headers=headers)
        documented = {int(code) for code in operation.definition.raw["responses"]}
        if answer.status_code not in documented:
            raise UndefinedStatusCode  # type: ignore[call-arg]
        case.validate_response(answer, headers=headers)

    exercise()
