"""Replays in words, and a bar while one is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from infra.cli import client

if TYPE_CHECKING:
    from functions.measure.replays.book import Replay


class Bar:
    """How far a replay came, on standard error's terminal; nothing when ``quiet``."""

    def __init__(self, matched: int, quiet: bool) -> None:
        columns = TextColumn("sent"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, transient=True, disable=quiet)
        self._task = self._bar.add_task("sent", total=matched)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def update(self, replay: Replay) -> None:
        """Show how far it is."""
        self._bar.update(self._task, completed=replay.progress.sent)


def one(replay: dict[str, Any], as_json: bool) -> None:
    """A replay, and what came of it."""
    if as_json:
        client.show_json({name: value for name, value in replay.items() if name != "generation"})
        return
    print(f"{replay['replay_id']}  {replay['state']}")
    print(f"matched {replay['matched']:,} ({replay['source']}), sent {replay['sent']:,}, {_outcome(replay)}")


def several(replays: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Replays, a line each."""
    if as_json:
        shown = [{name: value for name, value in each.items() if name != "generation"} for each in replays]
        client.show_json({"replays": shown})
        return
    for each in replays:
        print(
            f"{each['replay_id']}  {each['created_at']}  {each['state']:<8}  {each['source']:<6} "
            f" {each['sent']:,} of {each['matched']:,} sent, {_outcome(each)}"
        )


def preview(found: dict[str, Any], as_json: bool) -> None:
    """What a replay would do, and to a sample of its events."""
    if as_json:
        client.show_json(found)
        return
    print(f"{found['matched']:,} events match; of {len(found['sample']):,} of them, what would become:")
    for each in found["sample"]:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))} {fault['message']}".strip() for fault in each["errors"])
        print(f"{each['event_id']}  would {each['would']}{f': {faults}' if faults else ''}")
        if each["changed"]:
            print(f"  - {_short(each['before'])}\n  + {_short(each['after'])}")


def _outcome(replay: dict[str, Any]) -> str:
    told = f"stored {replay['stored']:,}, failed again {replay['failed_again']:,}"
    for name, words in (
        ("superseded", "by another delivery"),
        ("in_flight", "on the way"),
        ("remaining", "left"),
    ):
        told += f", {words} {replay[name]:,}" if replay[name] else ""
    return told


def _short(text: str, characters: int = 2_000) -> str:
    shown = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return shown if len(shown) <= characters else shown[:characters] + "…"
