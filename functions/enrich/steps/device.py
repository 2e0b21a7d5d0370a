"""The device, where what the client says of it is joined with what its user agent says.

The client's words win for type, brand and model: it knows the machine it runs on. Its system only fills a gap, since
frameworks often report the one they emulate. Where neither speaks, the platform gives a hint.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from functions.enrich.steps.step import NOTHING, Columns, Step, part, text
from functions.enrich.steps.tables.devices import CLIENT_TYPES, OTHER, PLATFORMS, TABLET

_SHOWN = 128
_CACHED = 4_096


def device_step() -> Step:
    """``device_type``, ``device_brand``, ``device_model``, ``os_name`` and ``os_version`` where they change."""
    hinted = lru_cache(maxsize=_CACHED)(_hinted)
    joined = lru_cache(maxsize=_CACHED)(_joined)

    def run(row: Mapping[str, Any]) -> Columns:
        context = row["context"]
        if "device" in context or "os" in context:
            return joined(*_said(context), row["platform"], row["device_type"], row["os_name"])
        if row["device_type"] == OTHER or not row["os_name"]:
            return hinted(row["platform"], row["device_type"], row["os_name"])
        return NOTHING

    return Step("device", run, NOTHING)


def _said(context: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Type, brand, model, system and its version in the client's words, from the shapes SDKs send."""
    device = part(context, "device")
    system: Any = context.get("os") or device.get("os")
    version = device.get("os_version")
    if isinstance(system, dict):
        system, version = system.get("name"), system.get("version")
    return (
        text(device.get("type"), _SHOWN),
        text(device.get("brand") or device.get("manufacturer"), _SHOWN),
        text(device.get("model"), _SHOWN),
        text(system, _SHOWN),
        text(version, _SHOWN),
    )


def _joined(
    kind: str, brand: str, model: str, system: str, version: str, platform: str, ua_type: str, ua_system: str
) -> Columns:
    columns: dict[str, Any] = {}
    hint = _hint(kind) or _hint(system) or _hint(platform)
    said = CLIENT_TYPES.get(kind.lower()) or (TABLET if model.lower().startswith("ipad") else "")
    columns["device_type"] = said or (ua_type if ua_type != OTHER else hint[0] if hint else OTHER)
    if brand:
        columns["device_brand"] = brand
    if model:
        columns["device_model"] = model
    if not ua_system and (system or hint):
        columns["os_name"] = system or (hint[1] if hint else "")
        columns["os_version"] = version
    return columns


def _hinted(platform: str, ua_type: str, ua_system: str) -> Columns:
    return _joined("", "", "", "", "", platform, ua_type, ua_system)


def _hint(word: str) -> tuple[str, str] | None:
    return PLATFORMS.get(word.lower())
