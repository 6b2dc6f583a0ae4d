"""The type and the notation of a column, by its values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import Column, ColumnType
from shared.transform.notation.numbers import number, plain_number
from shared.transform.profile.values import Profile, profile_of, profile_query, profiled_table, unlike_query
from shared.workspace import Workspace, literal

T = ColumnType


def _loaded(workspace: Workspace, values: list[str | None]) -> None:
    workspace.execute("CREATE TABLE source_raw (_row BIGINT, x VARCHAR)")
    rows = ", ".join(f"({place}, {literal(value)})" for place, value in enumerate(values))
    workspace.execute(f"INSERT INTO source_raw VALUES {rows}")
    workspace.create(profiled_table([("a label", '"x"')]))


def _profile(workspace: Workspace, values: list[str | None]) -> Profile:
    _loaded(workspace, values)
    return profile_of(workspace.query(profile_query("a label"))[0])


@pytest.mark.parametrize(
    ("values", "kind", "keys"),
    [
        (["1", "2.5", "-3"], T.NUMBER, {}),
        (["1,234.50", "2", "3,000"], T.NUMBER, {"thousands_separator": ","}),
        (["1.234,50", "2"], T.NUMBER, {"decimal_separator": ",", "thousands_separator": "."}),
        (["1 234,5", "2,5"], T.NUMBER, {"decimal_separator": ",", "thousands_separator": " "}),
        (["1'234", "99"], T.NUMBER, {"thousands_separator": "'"}),
        (["€ 5,50", "7 €"], T.NUMBER, {"decimal_separator": ",", "strip": "€$£%"}),
        (["2024-01-31", "2024-02-01T10:00:00Z"], T.DATE, {}),
        (["24-01-31", "23-05-02"], T.TEXT, None),
        (["10-11-12", "7-4-30"], T.TEXT, None),
        (["31/12/2024", "01/02/2024"], T.DATE, {"input_format": "dd/MM/yyyy"}),
        (["12/31/2024", "01/02/2024"], T.DATE, {"input_format": "MM/dd/yyyy"}),
        (["1.2.2024 10:30", "31.12.2024 23:59"], T.DATE, {"input_format": "d.M.yyyy HH:mm"}),
        (["3 Jan 2024"], T.DATE, {"input_format": "d MMM yyyy"}),
        (["Yes", "no", None], T.BOOL, {}),
        (["0012", "7"], T.TEXT, None),
        (["1", "two"], T.TEXT, None),
        ([None, "  "], T.TEXT, None),
    ],
)
def test_the_notation_that_fits_every_value(
    workspace: Workspace, values: list[str | None], kind: ColumnType, keys: dict[str, str] | None
) -> None:
    """The simplest of those that fit; texts, and numbers with leading zeros, stay text."""
    profile = _profile(workspace, values)
    assert profile.kind is kind
    if keys is not None:
        notation = profile.notation(kind)
        assert notation is not None
        assert notation.keys == keys


@pytest.mark.parametrize(
    ("values", "kind", "doubtful"),
    [
        (["1,234", "2,345"], T.NUMBER, True),
        (["1,234.5"], T.NUMBER, False),
        (["01/02/2024", "03/04/2024"], T.DATE, True),
        (["01/01/2024"], T.DATE, False),
        (["31/12/2024"], T.DATE, False),
    ],
)
def test_a_notation_is_doubtful_where_another_one_gives_other_results(
    workspace: Workspace, values: list[str | None], kind: ColumnType, *, doubtful: bool
) -> None:
    """Not where both read the same values."""
    assert _profile(workspace, values).doubtful[kind] is doubtful


def test_what_is_counted(workspace: Workspace) -> None:
    """Rows, values, different ones, the longest one without its blanks; and how many the best notation leaves out."""
    profile = _profile(workspace, [" ab ", "ab", "7", "8", "", None])
    assert (profile.rows, profile.filled, profile.different, profile.longest) == (6, 4, 3, 2)
    assert (profile.padded, profile.zeros) == (True, False)
    notation, unfit = profile.best[T.NUMBER]
    assert (notation.keys, unfit) == ({}, 1)


def test_values_that_are_none_of_some_texts(workspace: Workspace) -> None:
    """Without case and blanks; empty values do not count."""
    _loaded(workspace, ["Male", " female", "other", "OTHER", "", None])
    assert workspace.query(unlike_query("a label", ["male", "female"])) == [(1,)]
    assert workspace.query(unlike_query("a label", [])) == [(3,)]


def test_an_accent_of_a_text_may_be_written_in_two_ways(workspace: Workspace) -> None:
    """As one character or as a letter and its accent."""
    _loaded(workspace, ["CAFE\u0301", "cafe"])
    assert workspace.query(unlike_query("a label", ["café"])) == [(1,)]


NUMBERS = st.decimals(-1_000_000, 1_000_000, places=2, allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.sampled_from([(",", "."), (".", ","), (",", " "), (".", "'")]))
def test_the_notation_reads_the_numbers_that_were_written(numbers: list[float], separators: tuple[str, str]) -> None:
    """Whatever the separators are: without doubt about it, each text is read as the number that it is."""
    decimal, between = separators
    texts = [f"{each:,.2f}".replace(",", "\0").replace(".", decimal).replace("\0", between) for each in numbers]
    with Workspace.open() as workspace:
        profile = _profile(workspace, list(texts))
        notation = profile.notation(T.NUMBER)
        assert notation is not None
        if profile.doubtful[T.NUMBER]:
            return
        column = Column(name="v", type=T.NUMBER, **notation.keys)
        plain = plain_number(column, "v") if notation.keys else "v"
        listed = ", ".join(f"({literal(text)})" for text in texts)
        sql = f"SELECT {number('p')} FROM (SELECT {plain} AS p FROM (VALUES {listed}) AS t(v))"
        assert [float(each) for (each,) in workspace.query(sql)] == [float(each) for each in numbers]
