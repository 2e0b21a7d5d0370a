"""The walls of the design: who may import what."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENGINES = {
    "nats",
    "boto3",
    "botocore",
    "clickhouse_connect",
    "chdb",
    "questdb",
    "psycopg",
    "maxminddb",
    "requests",
    "httpx",
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _files(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", _files("functions/**/*.py", "schemas/**/*.py"), ids=_name)
def test_chalice_is_imported_in_the_apps_and_nowhere_else(path: Path) -> None:
    if path.name != "app.py":
        assert not any(name.split(".")[0] == "chalice" for name in _imports(path))


@pytest.mark.parametrize(
    "path", _files("schemas/**/*.py", "functions/shared/domain/*.py", "functions/*/service.py"), ids=_name
)
def test_the_domain_and_the_services_import_no_engine(path: Path) -> None:
    names = list(_imports(path))
    assert not {name.split(".")[0] for name in names} & ENGINES
    assert not any("adapters" in name for name in names)


@pytest.mark.parametrize("path", _files("functions/**/*.py"), ids=_name)
def test_only_the_wiring_chooses_adapters(path: Path) -> None:
    if path.name != "wiring.py" and "adapters" not in path.parts:
        assert not any("shared.adapters" in name for name in _imports(path))


@pytest.mark.parametrize("path", _files("schemas/**/*.py"), ids=_name)
def test_the_schemas_know_nothing_of_the_functions(path: Path) -> None:
    assert not any(name.split(".")[0] in ("functions", "infra") for name in _imports(path))


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


_Template.add_multi_constructor("!", lambda loader, _, node: getattr(node, "value", None))


def _routes_of_the_template() -> set[tuple[str, str, str]]:
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=_Template)
    found = set()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            for event in (properties.get("Events") or {}).values():
                if event["Type"] == "Api":
                    given = event["Properties"]
                    found.add((properties["Handler"].split(".")[1], given["Method"].upper(), given["Path"]))
    return found


def test_each_route_has_its_event_in_the_template_and_each_event_its_route() -> None:
    from functions.collect.app import app as collect
    from functions.serve.app import app as serve

    routes = {
        (stage, method, path)
        for stage, app in (("collect", collect), ("serve", serve))
        for path, methods in app.routes.items()
        for method in methods
    }
    in_template = {route for route in _routes_of_the_template() if route[1] != "HEAD"}
    assert {route for route in routes if route[1] != "HEAD"} == in_template
