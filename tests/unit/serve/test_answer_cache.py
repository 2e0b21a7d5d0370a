"""Kept answers: by question and state of the data, bounded, and known again by the client that has one."""

from functions.serve.answer_cache import AnswerCache
from functions.shared.edge import Answer, Request


def ask(cache: AnswerCache, state: str = "1", made: list[int] | None = None, tag: str = "", **params: str) -> Answer:
    made = [] if made is None else made
    request = Request(path="/api/v1/x", params={k: [v] for k, v in params.items()}, headers={"if-none-match": tag})
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


def test_only_so_many_answers_are_kept() -> None:
    cache = AnswerCache()
    for number in range(300):
        ask(cache, a=str(number))
    assert ask(cache, a="299").headers["X-Cache"] == "HIT"
    assert ask(cache, a="0").headers["X-Cache"] == "MISS"
