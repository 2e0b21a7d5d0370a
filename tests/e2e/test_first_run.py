"""The first run's account of the sample is what the README shows."""

import re

import pytest
from rich.console import Console

from infra.cli import client, first_answers
from infra.cli.first_run import SAMPLE, status
from infra.cli.importing.run import Import, run
from infra.local.paths import ROOT
from infra.local.stack import Stack
from tests.support.polling import until

SPAN = {"from": "2015-05-17T00:00:00Z", "to": "2015-05-21T00:00:00Z"}
README = (ROOT / "README.md").read_text()
SHOWN = re.findall(r"^(?:sessions|commonest path|busiest hour) .*", README, re.MULTILINE)


@pytest.mark.parametrize("stack", ["nats"], indirect=True)
def test_the_readme_shows_what_the_first_run_tells_of_the_sample(stack: Stack) -> None:
    console = Console(stderr=True)
    with client.connect(stack.base_url, "wk_local") as writer, client.connect(stack.base_url, "rk_local") as reader:
        before = status(reader)["ledger"]["stored"]
        done = run(Import(SAMPLE, "access-log", restart=True), writer, console)
        assert not done.stopped
        until(lambda: status(reader)["ledger"]["stored"] >= before + 10_000, 60, "the sample to be stored")
        first_answers.measure(SPAN["from"], stack.variables())
        told = list(first_answers.answers(reader, SPAN))
    assert told[:3] == SHOWN
