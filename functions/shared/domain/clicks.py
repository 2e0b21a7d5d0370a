"""The ids of clicks that others put into the addresses of pages: by one they know again who it was that clicked."""

import re

NAMES = (
    *("gclid", "gbraid", "wbraid", "msclkid", "yclid", "dclid", "ttclid", "twclid", "li_fat_id", "rdt_cid", "sccid"),
    *("epik", "qclid", "irclickid", "awc", "cjevent", "fbclid", "igshid", "igsh", "mc_cid", "srsltid", "ysclid"),
)
# Also within an address that is itself a parameter of another.
_BEFORE, _AFTER, _END = "(?:^|[?&#]|%3F|%26|%23)", "(?:=|%3D)", "(?:(?!%26|%23)[^&#])+"
_VALUE = re.compile(f"({_BEFORE}(?:{'|'.join(NAMES)}){_AFTER}){_END}", re.IGNORECASE)


def blanked(address: str) -> str:
    """An address, or its query, that still says there was a click, and not which."""
    return _VALUE.sub(r"\1-", address)
