"""The OpenAPI document: committed as it is generated, valid, and about the routes that there are."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from functions.serve import openapi
from functions.serve.app import app
from functions.serve.params import KNOWN

DOCUMENT: dict[str, Any] = openapi.document()
COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, verb, one) for path, item in DOCUMENT["paths"].items() for verb, one in item.items()]


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.text(), "run: python -m functions.serve.openapi"


def test_every_route_of_serve_is_described() -> None:
    routes = {(path, verb.lower()) for path, methods in app.routes.items() for verb in methods}
    described = {(path, verb) for path, verb, _ in operations() if verb == "get"}
    assert routes == described


def test_the_write_routes_are_described() -> None:
    described = {(path, verb) for path, verb, _ in operations() if verb == "post"}
    assert described == {("/api/v1/events", "post"), ("/api/v1/events/batch", "post")}


def test_every_parameter_of_the_query_is_described() -> None:
    names = {one["name"] for one in DOCUMENT["paths"]["/api/v1/events"]["get"]["parameters"]}
    assert names == {name for name in KNOWN if "<" not in name} | {"inside"}


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', openapi.text()))
    assert names <= set(DOCUMENT["components"]["schemas"])
    unused = set(DOCUMENT["components"]["schemas"]) - names
    assert unused == set()


def test_names_of_operations_are_unique() -> None:
    names = [one["operationId"] for _, _, one in operations()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("path", "verb", "one"), operations(), ids=lambda value: str(value)[:40])
def test_every_operation_is_complete(path: str, verb: str, one: dict[str, Any]) -> None:
    in_path = set(re.findall(r"{(\w+)}", path))
    parameters = one.get("parameters", [])
    assert {each["name"] for each in parameters if each["in"] == "path"} == in_path
    assert all(each["required"] for each in parameters if each["in"] == "path")
    assert all(each["description"] and each["schema"] for each in parameters)
    assert one["summary"]
    assert one["tags"]
    for status, answer in one["responses"].items():
        assert "X-Request-Id" in answer["headers"]
        assert ("Retry-After" in answer["headers"]) == (status in ("429", "503"))
    assert ("requestBody" in one) == (verb == "post")


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_examples_fit_their_schemas() -> None:
    document = json.loads(openapi.text())
    for path in ("/api/v1/events", "/api/v1/events/batch"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.validate(content["example"], schema)
