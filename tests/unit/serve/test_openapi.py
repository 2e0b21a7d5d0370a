"""The OpenAPI document: committed as it is generated, valid, and about the routes that there are."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from functions.collect.app import app as collect
from functions.serve import openapi
from functions.serve.app import app
from functions.serve.params import KNOWN

DOCUMENT: dict[str, Any] = openapi.document()
COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, verb, one) for path, item in DOCUMENT["paths"].items() for verb, one in item.items()]


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.text(), "run: python -m functions.serve.openapi"


def test_every_route_is_described_and_nothing_else() -> None:
    apps = (app, collect)
    routes = {(path, verb.lower()) for one in apps for path, methods in one.routes.items() for verb in methods}
    assert routes == {(path, verb) for path, verb, _ in operations()}


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
    # To stop and to resume there is nothing more to say.
    assert ("requestBody" in one) == (verb == "post" and not path.endswith(("/stop", "/resume")))


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_examples_fit_their_schemas() -> None:
    document = json.loads(openapi.text())
    posted = [path for path, _, one in operations() if "requestBody" in one]
    for path in posted:
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema.validate(content["example"], schema)
