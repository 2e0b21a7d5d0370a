"""The laptop stack as a process: ``python -m tests.faults.host FOLDER PORTS``, PORTS as JSON.

Beside the ports of the services PORTS holds ``nats proxy`` and ``clickhouse proxy``: where all that is deployed finds
these two. It says ``up`` once it is, and ends with SIGTERM.
"""

import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local import ports
from infra.local.stack import PREFERRED, Stack


@dataclass
class Behind(Stack):
    """A stack whose broker and store are reached through proxies."""

    @property
    def nats_url(self) -> str:
        return f"nats://{ports.HOST}:{self.ports['nats proxy']}"

    @property
    def clickhouse_url(self) -> str:
        return f"http://{ports.HOST}:{self.ports['clickhouse proxy']}"


def main() -> None:
    """Run until SIGTERM."""
    folder, chosen = Path(sys.argv[1]), json.loads(sys.argv[2])
    assert chosen.keys() == {*PREFERRED, "nats proxy", "clickhouse proxy"}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Behind(data_dir=folder, ports=chosen, queue="nats", geo=False, say=lambda text: print(text, file=sys.stderr)):
        print("up", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
