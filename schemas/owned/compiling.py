"""From a schema's document to a compiled validator, or to everything that is wrong with it.

Safe whoever wrote the schema: nothing is fetched, patterns run in linear time and are bounded in size, and
references do not go round (:mod:`schemas.owned.references`). A format is asserted, and one that is not known refused.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from schemas.owned.keywords import DIALECT, KNOWN, OWN, pointer, walk
from schemas.owned.references import BadReference, inlined

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_PATTERN_BYTES = 1024 * 1024
_DEEPEST = 64
_LONGEST = 300


class BadSchema(ValueError):
    """A schema that cannot be used. Each fault is a place in it and a sentence."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def compiled(document: dict[str, Any]) -> "Draft202012Validator":
    """The document as a validator. Raises :class:`BadSchema` that names every fault that could be found."""
    # Fifteen megabytes: only where there is a schema.
    import jsonschema_rs

    if faults := list(_unknown(document)):
        raise BadSchema(faults)
    try:
        jsonschema_rs.meta.validate({**document, "$schema": DIALECT})
        return jsonschema_rs.Draft202012Validator(
            inlined(document),
            validate_formats=True,
            ignore_unknown_formats=False,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except BadReference as error:
        raise BadSchema([str(error)]) from None
    except jsonschema_rs.ValidationError as error:
        told = error.message.split("\n")[0][:_LONGEST]
        raise BadSchema([f"{pointer(tuple(error.instance_path))}: {told}"]) from None


def _unknown(document: dict[str, Any]) -> Iterator[str]:
    """What would silently judge nothing: keywords that there are not, and another dialect."""
    if document.get("$schema", DIALECT) != DIALECT:
        yield f"#/$schema: only {DIALECT} is read"
    for path, schema in walk(document):
        if len(path) > _DEEPEST:
            yield f"{pointer(path[:3])}/…: deeper than {_DEEPEST} steps"
            return
        for keyword in schema if isinstance(schema, dict) else ():
            if keyword not in KNOWN and not keyword.startswith(OWN):
                near = get_close_matches(keyword, KNOWN, 1)
                told = f"; did you mean {near[0]}?" if near else f"; one of your own begins with {OWN}"
                yield f"{pointer(path)}: {keyword} is not known{told}"
