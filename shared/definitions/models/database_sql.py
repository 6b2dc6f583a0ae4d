"""Statements of a database, as far as they can be judged without the database."""

from __future__ import annotations

import re
from typing import Final

from shared.definitions.models.base import Language
from shared.definitions.models.names import replaced_parts

__all__ = ["bare", "condition_problem", "query_problem", "statement", "statement_problem"]

_READS: Final = re.compile(r"[\s(]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)


def bare(text: str) -> str:
    """A statement of the same length with blanks in the place of texts, quoted names and comments."""
    return replaced_parts(text, Language.DATABASE, lambda part: " " * len(part))


def statement(query: str) -> str:
    """A query without the semicolon at its end."""
    end = bare(query).find(";")
    return query if end < 0 else query[:end]


def query_problem(query: str) -> str | None:
    """What is wrong with a query that is to be read; None where nothing can be seen."""
    known = bare(query)
    if known.partition(";")[2].replace(";", " ").strip():
        return "a query is one statement, and here are several; remove what follows the semicolon"
    if not _READS.match(known):
        return "a query must be a SELECT: a source is only read"
    return _brackets(known)


def statement_problem(text: str) -> str | None:
    """What is wrong with a statement that changes something; None where nothing can be seen."""
    known = bare(text)
    first, _, rest = known.partition(";")
    if rest.replace(";", " ").strip():
        return "a step is one statement, and here are several; write a step for each, or call a procedure"
    if not first.strip():
        return "a statement is missing"
    return _brackets(known)


def condition_problem(condition: str) -> str | None:
    """What is wrong with a filter; None where nothing can be seen."""
    known = bare(condition)
    if ";" in known:
        return "a filter is one condition, without a semicolon"
    return _brackets(known)


def _brackets(known: str) -> str | None:
    depth = 0
    for sign in known:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    return "the brackets are not balanced" if depth else None
