"""The address of a webhook, which is a secret as a whole: whoever knows it can post. Pure."""

from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def checked(url: str) -> str:
    """The address, or the empty one. Raises :class:`ValueError`, which does not repeat it."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address of a webhook") from None
    if not host or parts.username is not None or any(one.isspace() or not one.isprintable() for one in url):
        raise ValueError("is to be https://host/path, without a user name in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError("is to be https; http is for this machine alone")
    return url
