"""The few things the door must know about a statement. Everything else is the engine's to understand."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""(?P<skip>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
       |(?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
       |(?P<word>\w+)
       |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
_DATA = re.compile(rb"[ \t\f]*\r?\n?")
_TRAILING_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:\bSETTINGS\b[^()]*)?;?\s*\Z", re.IGNORECASE)
_ANY_FORMAT = re.compile(rb"\bFORMAT\b", re.IGNORECASE)
_LEAD = re.compile(rb"(?:\s+|--[^\n]*\n|/\*.*?\*/|\()*(\w*)", re.DOTALL)
_TAIL_BYTES = 2000

# A word that names a thing follows these, so `INSERT INTO format …` is a table and not a clause.
_BEFORE_A_NAME = {b"INTO", b"TABLE", b"FUNCTION", b"."}
_NO_INLINE_FORMAT = {b"SELECT", b"WITH", b"VALUES", b"INFILE", b"WATCH"}
_RESULT_WORDS = {b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"CHECK", b"KILL"}


@dataclass(frozen=True)
class InsertHead:
    """An `INSERT … FORMAT X` with data: the statement before FORMAT, the format, where the data begins."""

    statement: str
    format: str
    data_at: int


def insert_head(text: bytes) -> InsertHead | None:
    """Split `INSERT INTO t (…) FORMAT X <data>`; None for every other statement."""
    if leading_word(text) != b"INSERT":
        return None
    depth, before = 0, b""
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "skip":
            continue
        value = token.group().upper() if token.lastgroup != "quoted" else b"''"
        depth += (value == b"(") - (value == b")")
        if depth == 0 and token.lastgroup == "word" and before not in _BEFORE_A_NAME:
            if value in _NO_INLINE_FORMAT:
                return None
            if value == b"FORMAT":
                return _split_at(text, token.start(), token.end())
        before = value
    return None


def _split_at(text: bytes, start: int, end: int) -> InsertHead | None:
    name = re.compile(rb"\s+(\w+)").match(text, end)
    if name is None:
        return None
    data = _DATA.match(text, name.end())
    data_at = data.end() if data else name.end()
    return InsertHead(text[:start].decode("utf-8", "backslashreplace"), name.group(1).decode(), data_at)


def leading_word(text: bytes) -> bytes:
    """The first keyword of a statement in upper case."""
    found = _LEAD.match(text)
    return found.group(1).upper() if found else b""


def has_result(text: bytes) -> bool:
    """Whether the statement answers with rows, be they none."""
    return leading_word(text) in _RESULT_WORDS


def result_format(text: bytes) -> str | None:
    """The format a trailing FORMAT clause asks for, if it is plain to see."""
    found = _TRAILING_FORMAT.search(text, max(0, len(text) - _TAIL_BYTES))
    return found.group(1).decode() if found else None


def mentions_format(text: bytes) -> bool:
    """Whether the word FORMAT stands anywhere: a clause may hide where `result_format` does not see it."""
    return _ANY_FORMAT.search(text) is not None


def may_hold_several(text: bytes) -> bool:
    """Whether a semicolon stands before the end, so that it pays to count the statements."""
    return b";" in text.rstrip(b"; \t\r\n")
