"""Values in every notation: what is written and read back is the same, and what is not such a value is refused.

The oracles are Python's: exact decimals, the tz database, and the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.definitions import Column
from shared.transform.reading import read_columns, reading
from shared.workspace import Workspace

SEPARATORS = ".,' _|·\u00a0\u202f:;/*^]\\"
ZONES = (
    "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu",
    "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "Pacific/Kiritimati", "Antarctica/Troll", "Europe/Dublin",
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    """One workspace for all examples."""
    with Workspace.open(threads=1) as opened:
        opened.execute("CREATE TABLE source_raw (_row BIGINT, x VARCHAR)")
        yield opened


def values(workspace: Workspace, column: dict[str, Any], texts: Sequence[str]) -> list[Any]:
    """What a column reads in texts; None where it is an error or nothing."""
    described = Column.model_validate({"name": "x", **column})
    workspace.execute("DELETE FROM source_raw")
    rows = ", ".join(f"({number}, ?)" for number, _ in enumerate(texts))
    workspace.execute(f"INSERT INTO source_raw VALUES {rows}", list(texts))
    sql = read_columns([described], [reading(described)], ())
    return [value for (value,) in workspace.query(f"SELECT x FROM ({sql}) ORDER BY _row")]


# -- Numbers ----------------------------------------------------------------------------------------------------------

decimals = st.decimals(-(10**15), 10**15, places=6, allow_nan=False) | st.integers(-(10**15), 10**15).map(Decimal)


@st.composite
def notations(draw: st.DrawFn) -> dict[str, Any]:
    """Separators and signs that a definition accepts."""
    decimal = draw(st.sampled_from([each for each in SEPARATORS if not each.isspace() and each != "_"]))
    between = draw(st.sampled_from([each for each in SEPARATORS if each not in {decimal, "_"}]))
    signs = "".join(each for each in "€%$£" if draw(st.booleans()))
    return {
        "type": "number",
        "decimal_separator": decimal,
        "thousands_separator": between,
        **({"strip": signs} if signs else {}),
    }


def grouped(digits: str, between: str) -> str:
    first = len(digits) % 3 or 3
    return between.join([digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))])


@st.composite
def written(draw: st.DrawFn, notation: dict[str, Any]) -> tuple[str, Decimal]:
    """A number in a notation, and the number."""
    number = draw(decimals)
    whole, _, fraction = f"{abs(number):f}".partition(".")
    digits = grouped(whole, notation["thousands_separator"]) if draw(st.booleans()) else whole
    digits += notation["decimal_separator"] + fraction if fraction else ""
    sign = draw(st.sampled_from([f" {each} " for each in notation.get("strip", "")] or [""]))
    minus = "-" if number < 0 else ""
    before, behind = (f"{minus}{sign}", "") if draw(st.booleans()) else ("", f"{sign}{minus}")
    return f" {before}{digits}{behind} ", number


@settings(deadline=None, max_examples=60)
@given(data=st.data(), notation=notations())
def test_a_number_in_any_notation_is_the_number(
    workspace: Workspace, data: st.DataObject, notation: dict[str, Any]
) -> None:
    """Exact to the last digit, with any separators, with a minus before or after it."""
    numbers = data.draw(st.lists(written(notation), min_size=1, max_size=30))
    assert values(workspace, notation, [text for text, _ in numbers]) == [number for _, number in numbers]


def is_grouped(text: str) -> bool:
    """The rule in words: groups of three behind a first one of one to three digits that is not zero."""
    first, *others = text.split(".")
    if not others:
        return first.isdigit()
    return (
        1 <= len(first) <= 3
        and first.isdigit()
        and first[0] != "0"
        and all(len(group) == 3 and group.isdigit() for group in others)
    )


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.text("0123.", min_size=1, max_size=11), min_size=1, max_size=50))
def test_a_thousands_separator_in_a_wrong_place_is_refused(workspace: Workspace, texts: list[str]) -> None:
    """Every other number with separators is read."""
    column = {"type": "number", "decimal_separator": ",", "thousands_separator": "."}
    expected = [Decimal(text.replace(".", "")) if is_grouped(text) else None for text in texts]
    assert values(workspace, column, texts) == expected


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text("019.,-+eE€ _%", min_size=1, max_size=8), min_size=1, max_size=50),
)
def test_nothing_is_read_that_is_not_a_number(workspace: Workspace, texts: list[str]) -> None:
    """For any mixture of the characters: the value has the digits of the text in their order."""
    column = {"type": "number", "decimal_separator": ",", "thousands_separator": ".", "strip": "€%"}
    for text, value in zip(texts, values(workspace, column, texts), strict=True):
        if value is None:
            continue
        plain = text.translate(str.maketrans(",", ".", "€% .\t")).lower()
        plain = f"-{plain[:-1]}" if plain.endswith("-") else plain
        assert value == Decimal(plain).quantize(Decimal(1).scaleb(-10), ROUND_HALF_UP), text


# -- Moments ----------------------------------------------------------------------------------------------------------


def zone_of(name: str) -> ZoneInfo:
    """A zone from the package, which is newer than that of some machines."""
    with (files("tzdata") / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def changes_of(name: str) -> list[datetime]:
    """The local times around which the clocks of a zone change, from 1970 to 2060, to the day."""
    zone = zone_of(name)
    days = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(90 * 365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [
        day.replace(tzinfo=None) for day, (one, other) in zip(days, pairwise(offsets), strict=False) if one != other
    ]


def moments_of(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """The moments at which a clock of a zone shows a time."""
    guesses = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(each.replace(tzinfo=None) for each in guesses if each.astimezone(zone).replace(tzinfo=None) == local)


def guessed(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """The moments that both offsets around a time give, in order."""
    return sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1))


clock_times = st.datetimes(datetime(1901, 1, 1), datetime(2099, 12, 31))  # noqa: DTZ001 - a clock's time


@st.composite
def local_times(draw: st.DrawFn, name: str) -> datetime:
    """Any time, but most often one within a day and a half of a change."""
    near = st.sampled_from(changes_of(name) or [datetime(2000, 1, 1)])  # noqa: DTZ001 - a clock's time
    minutes = st.integers(-36 * 60, 60 * 60).map(lambda count: timedelta(minutes=count))
    halves = st.integers(-72, 120).map(lambda count: timedelta(minutes=30 * count))
    anywhere = st.datetimes(datetime(1970, 1, 2), datetime(2059, 1, 1))  # noqa: DTZ001 - likewise
    if draw(st.integers(0, 3)) == 0:
        return draw(anywhere).replace(microsecond=0)
    return draw(near) + draw(st.one_of(minutes, halves))


@settings(deadline=None, max_examples=80)
@given(data=st.data(), name=st.sampled_from(ZONES))
def test_local_times_are_the_moments_of_the_tz_database(workspace: Workspace, data: st.DataObject, name: str) -> None:
    """With gaps and folds: refused, or the earlier or later moment."""
    zone = zone_of(name)
    times = data.draw(st.lists(local_times(name), min_size=1, max_size=60))
    texts = [each.isoformat(sep=data.draw(st.sampled_from("T "))) for each in times]
    column = {"type": "date", "time_zone": name}
    sure = [found[0] if len(found := moments_of(each, zone)) == 1 else None for each in times]
    assert values(workspace, column, texts) == sure
    for policy, place in (("earlier", 0), ("later", -1)):
        chosen = [certain or guessed(each, zone)[place] for certain, each in zip(sure, times, strict=True)]
        assert values(workspace, {**column, "on_ambiguous_time": policy}, texts) == chosen


@settings(deadline=None, max_examples=40)
@given(times=st.lists(clock_times, min_size=1, max_size=40), minutes=st.integers(-14 * 60, 14 * 60))
def test_an_offset_in_the_text_has_precedence_over_the_zone(
    workspace: Workspace, times: list[datetime], minutes: int
) -> None:
    """For every zone."""
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    texts = [f"{each.isoformat()}{sign}{hours:02}:{rest:02}" for each in times]
    expected = [each - timedelta(minutes=minutes) for each in times]
    assert values(workspace, {"type": "date", "time_zone": "America/St_Johns"}, texts) == expected


# -- Serial numbers and two-digit years -------------------------------------------------------------------------------


def of_excel(serial: Decimal) -> datetime | None:
    """Counted day by day from 1900-01-01, with the day that did not exist, rounded to the second."""
    if not serial >= 1 or int(serial) == 60:
        return None
    seconds = int((serial * 86_400).quantize(Decimal(1), ROUND_HALF_UP))
    start = datetime(1899, 12, 31) if serial < 60 else datetime(1899, 12, 30)  # noqa: DTZ001 - Excel has no zones
    try:
        return start + timedelta(seconds=seconds)
    except OverflowError:
        return None


serials = st.one_of(
    st.decimals(-5, 3_000_000, places=8, allow_nan=False),
    st.decimals(0, 70, places=6, allow_nan=False),
    st.decimals(2_958_460, 2_958_470, places=6, allow_nan=False),
    st.integers(-1, 100).map(Decimal),
    st.floats(1, 100_000).map(lambda number: Decimal(repr(round(number, 9)))),
)


@settings(deadline=None, max_examples=60)
@given(numbers=st.lists(serials, min_size=1, max_size=60))
def test_serial_numbers_are_the_dates_that_excel_shows(workspace: Workspace, numbers: list[Decimal]) -> None:
    """To the second, from 1900 to 9999."""
    found = values(workspace, {"type": "date", "input_format": "excel"}, [f"{each:f}" for each in numbers])
    assert found == [of_excel(each) for each in numbers]


def of_century(year: int, month: int, day: int, pivot: int) -> datetime | None:
    try:
        return datetime((2000 if year < pivot else 1900) + year, month, day)  # noqa: DTZ001 - a day
    except ValueError:
        return None


@settings(deadline=None, max_examples=60)
@given(days=st.lists(st.dates(date(1952, 1, 1), date(2052, 1, 1)), min_size=1, max_size=40), pivot=st.integers(0, 100))
def test_two_digit_years_are_in_the_century_of_the_pivot(workspace: Workspace, days: list[date], pivot: int) -> None:
    """A leap day without a year for it is refused."""
    column = {"type": "date", "input_format": "dd.MM.yy", "pivot": pivot}
    expected = [of_century(each.year % 100, each.month, each.day, pivot) for each in days]
    assert values(workspace, column, [f"{each:%d.%m.%y}" for each in days]) == expected
