"""What follows the sessions in a run: each a step by a name, in the order in which they need each other."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from functions.measure.alerts.watch import Watch
from functions.measure.exporting import SessionExporter
from functions.measure.judging.judge import Judge
from functions.measure.ledger.check import Check
from functions.measure.ledger.keeper import Keeper
from functions.measure.metrics.update import Merge, MetricsUpdater
from functions.measure.replays.collecting import Collector
from functions.measure.replays.runner import Runner
from functions.shared.errors import QueueUnavailable


class Followed(NamedTuple):
    """What a step did, whether that was all there was to do, and whether it is about what readers are answered from."""

    counts: Mapping[str, int]
    finished: bool = True
    answers: bool = True


More = Callable[[], bool]
# ``more`` says whether there is time left. A step raises ``StoreUnavailable`` when a store is away: what it left is
# done by the next run, so each keeps in the store how far it came, and the steps after it are tried all the same.
Follow = Callable[[More], Followed]
# What can be done beside all else: called while nothing is written, it returns what is left to do by a thread.
Beside = Callable[[More], Callable[[], Followed]]


def metrics(updater: MetricsUpdater) -> Follow:
    """Compute the windows that changed, and tell the series store."""

    def follow(_more: More) -> Followed:
        exported = updater.update().exported
        updater.tidy()
        return Followed({"metric_rows": exported})

    return follow


def anomalies(judge: Judge) -> Follow:
    """Judge the windows that are complete, and those that changed."""

    def follow(more: More) -> Followed:
        judged = judge.run(more)
        return Followed({"windows_judged": judged.windows, "anomalies": judged.anomalies}, judged.finished)

    return follow


def ledger(keeper: Keeper, check: Check) -> Follow:
    """Take the tallies to the ledger and, once none is left, hold the minutes that are over to account."""

    def follow(more: More) -> Followed:
        taken, all_taken = keeper.take(more)
        checked = check.run() if all_taken else 0
        return Followed({"tallies": taken, "minutes_checked": checked}, answers=False)

    return follow


def alerts(watch: Watch) -> Follow:
    """See what the rules say of all that, and tell it. What could not be told is told by the next run."""

    def follow(more: More) -> Followed:
        return Followed(watch.tick(more), answers=False)

    return follow


def dead_letters(collector: Collector, tidy: Callable[[], int]) -> Follow:
    """Make rows of what the broker gave up, and let go of what is settled."""

    def follow(more: More) -> Followed:
        counts = {"dead_letters_taken": collector.run(more)}
        gone = tidy()
        return Followed(counts | ({"dead_letters_removed": gone} if gone else {}), answers=False)

    return _of_the_queue(follow)


def replays(runner: Runner, seconds: float, now: Callable[[], float]) -> Follow:
    """Go on with replays, for so many seconds at most: what comes in meanwhile waits for the next run."""

    def follow(more: More) -> Followed:
        until = now() + seconds
        done = runner.run(lambda: more() and now() < until)
        return Followed({"replayed": done.get("sent", 0)}, answers=False)

    return _of_the_queue(follow)


def _of_the_queue(work: Follow) -> Follow:
    """Work that is left to a later run while the queue is away: the batches need none."""

    def follow(more: More) -> Followed:
        try:
            return work(more)
        except QueueUnavailable:
            return Followed({}, answers=False)

    return follow


def merging(updater: MetricsUpdater, work: Callable[[Merge], object]) -> Beside:
    """Compute of the metrics what is noted as it begins; that tells nobody yet what it did."""

    def prepare(_more: More) -> Callable[[], Followed]:
        merge = updater.begin()

        def do() -> Followed:
            work(merge)
            return Followed({})

        return do

    return prepare


def sessions(exporter: SessionExporter) -> Beside:
    """Tell the series store of sessions, as far as they are written now."""

    def prepare(more: More) -> Callable[[], Followed]:
        waiting = exporter.waiting()

        def export() -> Followed:
            written, refused, finished = exporter.export(waiting, more)
            return Followed({"exported": written, "refused": refused}, finished)

        return export

    return prepare
