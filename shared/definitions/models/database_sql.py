"""Statements of a database, as far as they can be judged without the database."""

from __future__ import annotations

import re
from typing import Final

from shared.definitions.models.base import Language
from shared.definitions.models.names import replaced_parts

__all__ = [
    "bare",
    "brackets_problem",
    "condition_problem",
    "is_query",
    "query_problem",
    "statement",
    "statement_problem",
]

_READS: Final = re.compile(r"[\s(]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)

_SIGNS: Final = re.compile(r"[()]|\w+")
_QUERIES: Final = frozenset({"SELECT", "VALUES", "TABLE", "SHOW", "EXPLAIN"})
_VERBS: Final = _QUERIES | {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"}


def bare(text: str) -> str:
    """A statement of the same length with blanks in the place of texts, quoted names and comments."""
    return replaced_parts(text, Language.DATABASE, lambda part: " " * len(part))


def statement(query: str) -> str:
    """A query without the semicolon at its end."""
    end = bare(query).find(";")
    return query if end < 0 else query[:end]


def is_query(text: str) -> bool:
    """Whether a statement gives rows and is none of those that say how many rows they changed.

    Behind `WITH` the first of these words counts that is in no brackets.
    """
    depth, within = 0, False
    for sign in _SIGNS.findall(bare(text).upper()):
        depth += (sign == "(") - (sign == ")")
        if sign in "()":
            continue
        if sign == "WITH" and not within:
            within, depth = True, 0
        elif not within or (depth == 0 and sign in _VERBS):
            return sign in _QUERIES
    return False


def query_problem(query: str) -> str | None:
    """What is wrong with a query that is to be read; None where nothing can be seen."""
    known = bare(query)
    if known.partition(";")[2].replace(";", " ").strip():
        return "a query is one statement, and here are several; remove what follows the semicolon"
    if not _READS.match(known):
        comment = "; begin a comment with two minus signs and a blank" if known.lstrip().startswith("#") else ""
        return f"a query must be a SELECT: a source is only read{comment}"
    return brackets_problem(known)


def statement_problem(text: str) -> str | None:
    """What is wrong with a statement that changes something; None where nothing can be seen."""
    known = bare(text)
    first, _, rest = known.partition(";")
    if rest.replace(";", " ").strip():
        return "a step is one statement, and here are several; write a step for each, or call a procedure"
    if not first.strip():
        return "a statement is missing"
    return brackets_problem(known)


def condition_problem(condition: str) -> str | None:
    """What is wrong with a filter; None where nothing can be seen."""
    known = bare(condition)
    if ";" in known:
        return "a filter is one condition, without a semicolon"
    return brackets_problem(known)


def brackets_problem(code: str) -> str | None:
    """What is wrong with the brackets of some code, as `bare` gives it; None where they are balanced."""
    depth = 0
    for sign in code:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    return "the brackets are not balanced" if depth else None
