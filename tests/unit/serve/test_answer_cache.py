"""Kept answers: by question and state of the data, bounded, and known again by the client that has one."""

import io
import json

import pytest

from functions.serve.answer_cache import AnswerCache, Watched
from functions.shared.edge import Answer, Request, answering
from functions.shared.errors import NotFound
from functions.shared.observe import Observer


def ask(
    cache: AnswerCache, state: str = "1", made: list[int] | None = None, tag: str = "", path: str = "x", **params: str
) -> Answer:
    made = [] if made is None else made
    request = Request(
        path=f"/api/v1/{path}", params={k: [v] for k, v in params.items()}, headers={"if-none-match": tag}
    )
    return cache.answer(request, state, lambda: made.append(1) or {"n": len(made)})


def test_the_same_question_is_answered_once_while_the_data_stays() -> None:
    cache, made = AnswerCache(), []
    assert [ask(cache, "1", made, a="1", b="2").headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    assert ask(cache, "1", made, b="2", a="1").headers["X-Cache"] == "HIT"
    assert made == [1]


def test_new_data_and_other_questions_are_answered_anew() -> None:
    cache = AnswerCache()
    first = ask(cache, "1", a="1")
    assert ask(cache, "2", a="1").headers["ETag"] != first.headers["ETag"]
    assert ask(cache, "1", a="2").headers["X-Cache"] == "MISS"


def test_a_client_that_has_the_answer_gets_304_also_through_a_proxy_that_weakens_tags() -> None:
    cache = AnswerCache()
    tag = ask(cache).headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}'):
        answer = ask(cache, tag=sent)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, "", tag)
    assert ask(cache, "2", tag=tag).status == 200


@pytest.mark.parametrize("other", [{"path": "y"}, {"environment": "test"}, {"x": ""}, {"state": "2"}])
def test_no_two_questions_share_an_answer(other: dict[str, str]) -> None:
    cache, made = AnswerCache(), []
    assert [ask(cache, made=made).headers["X-Cache"], ask(cache, made=made, **other).headers["X-Cache"]] == ["MISS"] * 2
    assert made == [1, 1]


def test_only_so_many_bytes_are_kept_and_the_longest_unused_go_first() -> None:
    cache = AnswerCache(most_bytes=100)
    text = "ä" * 10
    for number in range(10):
        cache.answer(Request(path=f"/{number}"), "1", lambda: text)
        cache.answer(Request(path="/0"), "1", lambda: text)
    found = [cache.answer(Request(path=f"/{number}"), "1", lambda: text).headers["X-Cache"] for number in (0, 9, 1)]
    assert found == ["HIT", "HIT", "MISS"]


def test_what_is_asked_for_but_not_there_is_told_whatever_the_client_has() -> None:
    def missing() -> object:
        raise NotFound("x_not_found", "There is no x.")

    request = Request(path="/x", headers={"if-none-match": "*"})
    assert answering(lambda one: AnswerCache().answer(one, "1", missing))(request).status == 404


def test_an_answer_that_no_function_can_hand_over_is_told_to_be_too_large() -> None:
    answer = answering(lambda one: AnswerCache().answer(one, "1", lambda: "x" * 6_000_000))(Request(path="/x"))
    assert (answer.status, "answer_too_large" in answer.body) == (400, True)


def test_the_log_line_of_a_request_says_whether_its_answer_was_kept() -> None:
    cache, stream = AnswerCache(), io.StringIO()
    for _ in range(2):
        line = Watched(Observer("serve-kept", stream))
        answering(line.view(lambda one: cache.answer(one, "1", dict)), "/x", line.observe)(Request(path="/x"))
    line = Watched(Observer("serve-kept", stream))
    answering(line.view(lambda _: Answer(200)), "/y", line.observe)(Request(path="/y"))
    counts = [json.loads(told)["counts"] for told in stream.getvalue().splitlines()]
    assert counts == [
        {"requests": 1, "answer_cache_misses": 1}, {"requests": 1, "answer_cache_hits": 1}, {"requests": 1},
    ]  # fmt: skip


def test_no_answer_is_older_than_the_data() -> None:
    """The bound of staleness is none: the state of the data is asked for by each request."""
    cache, data = AnswerCache(), {"n": 0}
    for number in range(50):
        data["n"] = number
        for _ in range(2):
            answer = cache.answer(Request(path="/x"), str(data["n"]), lambda: data["n"])
            assert json.loads(answer.body) == number
        assert answer.headers["X-Cache"] == "HIT"
        assert answer.headers["Cache-Control"] == "private, max-age=0, must-revalidate"


def test_an_answer_is_forgotten_some_minutes_after_it_was_made_however_often_it_was_asked_for() -> None:
    now = [0.0]
    cache = AnswerCache(now=lambda: now[0])
    ask(cache, a="1")
    now[0] = 600.0
    assert ask(cache, a="1").headers["X-Cache"] == "HIT"
    ask(cache, a="2")
    now[0] = 600.1
    assert ask(cache, a="2").headers["X-Cache"] == "HIT"
    assert ask(cache, a="1").headers["X-Cache"] == "MISS"
