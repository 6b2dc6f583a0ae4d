"""What a database reads otherwise than the checks of definitions is refused; everything else is sent."""

from __future__ import annotations

import time

import pytest

from shared.definitions.models.base import Language
from shared.definitions.models.names import names_in
from shared.errors import DefinitionError
from shared.sources.sql.dialects import misread
from tests.mysql_server import mysql_server
from tests.unit.sources.sql.reads import read

REFUSED = [
    ("mysql", r"note = 'a\'' or country = @country", "line 1, character 8", "quote within a text twice"),
    ("mariadb", 'a = 1 and\n b <> "x\\"y" and c = @c', "line 2, character 7", "quote within a text twice"),
    ("mysql", "# it's\n a = @a", "line 1, character 1", "begin a comment"),
    ("mysql", "a = 1 # b = @b", "line 1, character 7", "begin a comment"),
    ("mysql", "(a = 1 # )", "line 1, character 8", "begin a comment"),
    ("mysql", "a < 5--1 and b = @b", "line 1, character 6", "two minus signs"),
    ("mysql", "a = 1 /*! and b = @b */", "line 1, character 7", "/*!"),
    ("mariadb", "a = 1 /*M!100100 and b = @b */", "line 1, character 7", "/*!"),
    ("mysql", "a<@most", "line 1, character 2", "blank between < and @"),
    ("mssql", "a<@most", "line 1, character 2", "blank between < and @"),
    ("oracle", "a = q'[it's]' || @b || 'c'", "line 1, character 5", "in single quotes"),
    ("oracle", "a = nQ'!it's!' and b = @b", "line 1, character 5", "in single quotes"),
    ("mssql", "[a'b] = @b and [c'd] = 1", "line 1, character 1", "double quotes"),
    ("mssql", "[a]]'b] = @b", "line 1, character 1", "double quotes"),
    ("mssql", "[a@b] = 1", "line 1, character 1", "double quotes"),
    ("sqlite", "[a'b] = @b", "line 1, character 1", "double quotes"),
    ("postgresql", "`a'b` = @b and c = '@c'", "line 1, character 1", "double quotes"),
    ("postgresql", "/* a /* b */ ' */ c = @c", "line 1, character 1", "no comment within another"),
    ("oracle", "a = $$ and b = @b", "line 1, character 5", "another way"),
]


@pytest.mark.parametrize(("dialect", "text", "place", "remedy"), REFUSED)
def test_what_a_database_reads_otherwise_is_told(dialect: str, text: str, place: str, remedy: str) -> None:
    """With its place, and with what to write instead."""
    said = misread(text, dialect)
    assert said is not None
    assert place in said
    assert remedy in said


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("mysql", "a = 'it''s' and `b'c` = @b and d <> \"e\" -- f = @f\n and g < @g and @@x > 1"),
        ("mysql", r"a like '10\%' and path = 'C:\\' and b = @b"),
        ("mysql", "a = 1 # only (active) ones"),
        ("mysql", "SELECT /*! STRAIGHT_JOIN */ a FROM t WHERE v$b$c = @b"),
        ("oracle", "a = q'!(x)!' and v$b$c = 'd' and e = @e"),
        ("mssql", "[Amount (EUR)] > @most and [a] = '@b' and c = 'd'"),
        ("mssql", "/* a /* b */ c */ d = @d"),
        ("sqlite", '[a] = `b` and "c" = @c'),
        ("postgresql", "a[1] = e'\\'@a' and tags <@ array['b'] and c = @c and $q$ ' @d $q$ <> U&'\\0061'"),
        ("postgresql", r"path = 'C:\' and a = @a"),
        ("db2", "a = 'it\\'s' and b = @b"),
    ],
)
def test_what_is_read_alike_is_sent(dialect: str, text: str) -> None:
    """Also what differs only where nothing of it matters."""
    assert misread(text, dialect) is None


@pytest.mark.parametrize("part", ["/*", "q'", "'\\", "[", "$a$", '"', "#", "--"])
def test_a_long_text_is_judged_at_once(part: str) -> None:
    """Whatever is repeated in it."""
    began = time.process_time()
    for dialect in ("mysql", "oracle", "mssql", "sqlite", "postgresql"):
        misread(part * 10_000, dialect)
    assert time.process_time() - began < 5


def test_a_definition_that_mysql_reads_otherwise_is_refused_before_anything_is_sent() -> None:
    """All keys at once."""
    with mysql_server({}) as server, pytest.raises(DefinitionError) as caught:
        read(server.url, {"c": "x"}, query="SELECT a FROM t WHERE b = 'c\\'d' OR e = @c", filter="a<@c")
    assert [problem.path for problem in caught.value.problems] == ["source.query", "source.filter"]
    assert server.statements == []


def test_a_dollar_within_a_name_begins_no_text() -> None:
    """Names may have it in all databases."""
    assert names_in("v$a$b = @x and c$d$ = $e$ @f $e$", Language.DATABASE) == ("x",)
