"""The environment variables of what the stack runs."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What a real AWS account is reached with must not reach the emulator's clients, nor the other way round.
_DROPPED = ("AWS_", "PYTHON", "VIRTUAL_ENV", "UV_", "SAM_")
REGION = "us-east-1"


def aws(endpoint: str) -> dict[str, str]:
    """What makes any AWS client talk to the emulator, with credentials that are none."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def clean(**more: str) -> dict[str, str]:
    """This process's environment without AWS's and Python's own variables, and with some more."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def exports(variables: Mapping[str, str]) -> str:
    """As lines for a shell."""
    return "\n".join(f"export {name}={value}" for name, value in variables.items())
