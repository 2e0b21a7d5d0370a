"""The nats-server configuration that Weir needs: durable, bound to one address, big enough for a batch."""

import json
from pathlib import Path

# Above what the adapter ever sends (3 MiB and headers), so that the server's limit is not the one that counts.
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024


def render(
    port: int,
    store_dir: Path | str,
    monitor_port: int | None = None,
    max_payload: int = MAX_PAYLOAD_BYTES,
    host: str = "127.0.0.1",
    max_file_store_bytes: int | None = None,
) -> str:
    """The text of a configuration file. ``monitor_port`` opens the HTTP monitor (``/healthz``), else there is none.

    ``sync_interval: always``: a message is on the disk before it is acknowledged. The default flushes every two
    minutes, and a power cut would take what was acknowledged since.
    """
    lines = [f"listen: {json.dumps(f'{host}:{port}')}", f"max_payload: {max_payload}"]
    if monitor_port is not None:
        lines.append(f"http: {json.dumps(f'{host}:{monitor_port}')}")
    lines += ["jetstream {", f"  store_dir: {json.dumps(str(store_dir))}", "  sync_interval: always"]
    if max_file_store_bytes is not None:
        lines.append(f"  max_file_store: {max_file_store_bytes}")
    return "\n".join([*lines, "}", ""])
