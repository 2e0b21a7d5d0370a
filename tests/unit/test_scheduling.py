import pytest

from tests.support.scheduling import refuse_twins, scope


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/e2e/test_a.py::test_x[nats]", "stack on nats"),
        ("tests/e2e/test_a.py::TestA::test_x[/api/v1/events--nats-sam]", "stack on nats"),
        ("tests/e2e/test_b.py::test_x[sqs-README]", "stack on sqs"),
        ("tests/e2e/test_b.py::test_x[sqs]", "stack on sqs"),
        ("tests/e2e/test_b.py::test_x", "tests/e2e/test_b.py"),
        ("tests/e2e/test_b.py::test_of_nats[gnats]", "tests/e2e/test_b.py"),
        ("tests/contract/test_c.py::test_x[nats]", "tests/contract/test_c.py"),
        ("tests/contract/test_c.py::test_x[localstack]", "localstack"),
        ("tests/contract/test_c.py::test_x[sns-localstack]", "localstack"),
    ],
)
def test_what_shares_a_stack_or_an_emulator_shares_a_process(nodeid: str, group: str) -> None:
    assert scope(nodeid) == group


def test_tests_of_one_name_are_refused() -> None:
    refuse_twins(["a::test_x[1]", "a::test_x[2]", "b::test_x[1]"])
    with pytest.raises(pytest.UsageError, match=r"would run: a::test_x$"):
        refuse_twins(["a::test_x", "b::test_x", "a::test_x"])
