"""Where the API is tested: the laptop stack over each broker, `sam local start-api`, and the handlers in process."""

import pytest

THREE = [("nats", "laptop"), ("nats", "sam"), ("nats", "process")]
on_three_hosts = pytest.mark.parametrize(("stack", "host"), THREE, indirect=True)
on_every_host = pytest.mark.parametrize(("stack", "host"), [*THREE, ("sqs", "laptop")], indirect=True)
