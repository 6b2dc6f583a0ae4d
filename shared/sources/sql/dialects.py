"""What each database takes for texts, quoted names and comments, where that is not what definitions are checked with.

A definition does not say which database it is for: its URL is a secret. So `names` reads the SQL of all databases with
one grammar, and a statement is sent only if the grammar of its database finds the same parameters and semicolons, and
balanced brackets. Otherwise an `@name` could stay in the statement: MySQL takes it for a variable that is NULL.
"""

from __future__ import annotations

import re
from typing import Final

from shared.definitions.models.database_sql import brackets_problem
from shared.definitions.models.names import DATABASE_SQL, PARAMETER

__all__ = ["misread"]

_TEXT: Final = r"'[^']*'?"  # a doubled quote reads as two texts
_NAME: Final = r'"[^"]*"?'
_COMMENT: Final = r"--[^\n]*"
_BLOCK: Final = r"/\*.*?(?:\*/|\Z)"
_VARIABLE: Final = r"@@\w*"


def _nested(depth: int) -> str:
    """A comment that may have comments in it."""
    within = rf"|{_nested(depth - 1)}" if depth else ""
    return rf"/\*(?:(?!/\*|\*/).{within})*(?:\*/|\Z)"


# https://dev.mysql.com/doc/refman/8.4/en/string-literals.html and …/comments.html: what stands in /*! */ is executed.
_MYSQL: Final = (
    r"`[^`]*`?",
    r"'(?:[^'\\]|\\.)*'?",
    r'"(?:[^"\\]|\\.)*"?',
    r"\#[^\n]*",
    r"--(?=[\s\x00-\x1f]|\Z)[^\n]*",
    r"/\*(?!M?!).*?(?:\*/|\Z)",
    _VARIABLE,
)
# https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Literals.html
_ORACLE_TEXT: Final = (
    r"(?<![\w$\#])[nN]?[qQ]'(?:\[.*?\]'|\{.*?\}'|<.*?>'|\(.*?\)'|(?P<sign>[^\s\[{<(]).*?(?P=sign)'|.*\Z)"
)
_GRAMMARS: Final = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "oracle": (_ORACLE_TEXT, _TEXT, _NAME, _COMMENT, _BLOCK),
    "mssql": (r"\[(?:[^\]]|\]\])*\]?", _TEXT, _NAME, _COMMENT, _nested(3), _VARIABLE),
    "sqlite": (r"\[[^\]]*\]?", r"`[^`]*`?", _TEXT, _NAME, _COMMENT, _BLOCK),
    "postgresql": (
        r"\b[eE]'(?:[^'\\]|\\.)*'?",
        _TEXT,
        _NAME,
        _COMMENT,
        _nested(3),
        r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)",
        _VARIABLE,
        "<@|@>",
    ),
}
_SIGNS: Final = re.compile(f"{PARAMETER}|;")
_PATTERNS: Final = {name: re.compile("|".join((*parts, PARAMETER)), re.DOTALL) for name, parts in _GRAMMARS.items()}
_CALLED: Final = {
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "oracle": "Oracle",
    "mssql": "SQL Server",
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
}
# What to write instead, by the character with which the other reading begins.
_TWICE: Final = "write a quote within a text twice ('it''s') and not behind a backslash"
_REMEDIES: Final = {
    "'": _TWICE,
    '"': _TWICE,
    "#": "begin a comment with two minus signs and a blank",
    "-": "write a blank behind the two minus signs of a comment, and between two minus signs that are none",
    "/": "write no comment within another one, and no SQL into one that begins with /*!",
    "<": "write a blank between < and @",
    "[": "write a name with such signs in double quotes",
    "`": "write a name in double quotes",
    **dict.fromkeys("qQnN", "write the text in single quotes, and a quote within it twice"),
}
_OTHER: Final = "write it in another way"


def misread(text: str, dialect: str) -> str | None:
    """What a database reads otherwise than the checks of definitions; None where nothing of it matters.

    Args:
        text: SQL of a definition, in the SQL of the database.
        dialect: The name of the database, as SQLAlchemy has it.
    """
    pattern = _PATTERNS.get(dialect)
    if pattern is None:
        return None
    ours, theirs = _code(text, DATABASE_SQL), _code(text, pattern)
    if _signs(ours) == _signs(theirs) and not brackets_problem(theirs):
        return None
    place = min(_spans(text, DATABASE_SQL) ^ _spans(text, pattern), default=(0, 0))[0]
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    return (
        f"{_CALLED[dialect]} reads this otherwise than it was checked, from line {line}, character {column} on, so an "
        f"@name might not be a parameter: {_REMEDIES.get(text[place], _OTHER)}"
    )


def _code(text: str, pattern: re.Pattern[str]) -> str:
    """A text of the same length with blanks in the place of all that is neither code nor a parameter."""
    return pattern.sub(lambda found: found[0] if found["name"] else " " * len(found[0]), text)


def _signs(code: str) -> list[tuple[int, str]]:
    """The parameters and semicolons of some code, each with its place."""
    return [(found.start(), found[0]) for found in _SIGNS.finditer(code)]


def _spans(text: str, pattern: re.Pattern[str]) -> set[tuple[int, int]]:
    return {found.span() for found in pattern.finditer(text)}
