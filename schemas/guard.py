"""A native, exact check that a block of events is plain JSON within the limits.

The guard is the fast half of validation: one pass of a compiled decoder over the bytes proves that no
event nests too deeply, has an overlong key or string, a number JSON does not have, or a lone surrogate.
It only says yes or no; :mod:`schemas.inspection` then names the faults of what it refused. An event that
nests deeper than is usual is refused too, and inspection lets it pass when it is within the limit.
"""

from typing import Annotated, Any

import msgspec

from schemas.limits import Limits

# The compiled decoder doubles with each level, and events of real life nest three or four deep.
USUAL_LEVELS = 6


def build_guard(limits: Limits) -> msgspec.json.Decoder[Any]:
    """A decoder of a JSON array of events that raises :class:`msgspec.MsgspecError` on any breach."""
    key = Annotated[str, msgspec.Meta(max_length=limits.key_characters)]
    text = Annotated[str, msgspec.Meta(max_length=limits.string_characters)]
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    scalar: Any = None | bool | integer | float | text
    value: Any = scalar
    for _ in range(min(limits.nesting_levels, USUAL_LEVELS)):
        value = scalar | list[value] | dict[key, value]
    return msgspec.json.Decoder(list[dict[key, value]])
