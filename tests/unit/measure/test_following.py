"""What is done beside the batches, and by which names it is counted."""

from functions.measure import following
from functions.measure.following import Follow
from functions.shared.metric_names import METRICS
from functions.shared.observe import _metric_name


class _Letters:
    def run(self, more: object) -> int:
        return 3


def always() -> bool:
    return True


def test_what_was_taken_of_the_dead_letters_is_not_counted_as_how_many_there_are() -> None:
    follow: Follow = following.dead_letters(_Letters(), lambda: 2)  # type: ignore[arg-type]
    counts = follow(always).counts
    assert counts == {"dead_letters_taken": 3, "dead_letters_removed": 2}
    assert not {_metric_name(name) for name in counts} & {one.name for one in METRICS}
