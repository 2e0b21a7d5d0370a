"""The keywords of JSON Schema 2020-12 by what they hold, and a walk over the schemas inside a schema."""

from collections.abc import Iterator, Mapping
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = bool | dict[str, Any]
Path = tuple[str | int, ...]

# Say something of a schema, and judge nothing.
ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"}
)
ONE = frozenset(
    {"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"}
    | {"unevaluatedProperties", "unevaluatedItems"}
)
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
VALUES = frozenset(
    {"type", "enum", "const", "format", "pattern", "required", "dependentRequired", "uniqueItems", "multipleOf"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
    | {"minProperties", "maxProperties", "minContains", "maxContains", "$ref"}
)
KNOWN = ANNOTATIONS | ONE | LISTS | NAMED | VALUES
# Keywords of one's own; they judge nothing.
OWN = "x-"


def children(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The schemas directly inside a schema, each with its way there."""
    for keyword, value in schema.items():
        if keyword in ONE:
            yield (keyword,), value
        elif keyword in LISTS and isinstance(value, list):
            yield from (((keyword, place), one) for place, one in enumerate(value))
        elif keyword in NAMED and isinstance(value, dict):
            yield from (((keyword, name), one) for name, one in value.items())


def walk(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """A schema and all that are inside it, from the outside in."""
    yield path, schema
    if isinstance(schema, dict):
        for step, child in children(schema):
            yield from walk(child, path + step)


def pointer(path: Path) -> str:
    """A way as a JSON pointer, ``#/properties/plan``."""
    return "/".join(["#", *(str(part).replace("~", "~0").replace("/", "~1") for part in path)])
