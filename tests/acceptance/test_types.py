"""Every type of column, written from unusual text over HTTP: the values are those that the documentation promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs import RunSummary
from tests.acceptance.world import World, accounts, world

_OPTIONS: Final = {1: "Gold", 2: "Silver, dull", 7: "Ünïcode ✓", 100000000: "1"}
_TABLE: Final = {
    "new_Text": {"type": "String", "length": 50},
    "new_Memo": {"type": "Memo", "length": 3000},
    "new_Integer": {"type": "Integer"},
    "new_Small": {"type": "Integer", "min": -5, "max": 5},
    "new_Big": {"type": "BigInt"},
    "new_Decimal": {"type": "Decimal", "precision": 3},
    "new_Money": {"type": "Money", "precision": 2},
    "new_Double": {"type": "Double", "precision": 5},
    "new_Flag": {"type": "Boolean", "options": {0: "Off", 1: "Running"}},
    "new_Choice": {"type": "Picklist", "options": _OPTIONS},
    "new_Choices": {"type": "MultiSelectPicklist", "options": _OPTIONS},
    "new_Day": {"type": "DateTime", "behavior": "DateOnly"},
    "new_Local": {"type": "DateTime", "behavior": "UserLocal"},
    "new_Fixed": {"type": "DateTime", "behavior": "TimeZoneIndependent"},
    "new_Guid": {"type": "Uniqueidentifier"},
}
_SCHEMA: Final = {"new_Specimen": {"label": "Specimen", "columns": {"new_Code": {"type": "String"}, **_TABLE}}}
_COLUMNS: Final = tuple(name.lower() for name in _TABLE)
# The source types beside text that the columns take their values from just as well.
_TYPED: Final = {
    **dict.fromkeys(("new_integer", "new_small", "new_big", "new_decimal", "new_money", "new_double"), "number"),
    **dict.fromkeys(("new_day", "new_local", "new_fixed"), "date"),
    "new_flag": "bool",
}


class Meaning(Enum):
    """The result for a text that is no value of its column."""

    EMPTY = "empty"
    LEFT_OUT = "left out"
    REJECTS = "rejects"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of the file, and the value of the column afterwards."""

    text: str
    means: Any


Row = Mapping[str, Cell]


# -- Cells, each made together with what it means ---------------------------------------------------------------------

_pads = st.sampled_from(["", "", "", " ", "\t", "\xa0 ", " \r\n"])


def _padded(cells: st.SearchStrategy[Cell]) -> st.SearchStrategy[Cell]:
    """Spaces around a value are ignored, except in text."""
    return st.builds(lambda before, cell, after: Cell(before + cell.text + after, cell.means), _pads, cells, _pads)


def _wrong(*texts: str, meaning: Meaning = Meaning.LEFT_OUT) -> st.SearchStrategy[Cell]:
    return st.sampled_from([Cell(text, meaning) for text in texts])


_not_numbers = _wrong("abc", "1,5", "--1", "0x10", "1_000", "1e", "٣", "½", "1 2", "NaN", "inf", "-Infinity", "1e30")


def _written(number: Decimal, style: int) -> str:
    plain = f"{number:f}"
    sign, digits = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
    return [plain, f"{sign}000{digits}", f"{number:e}", f"{number:E}", plain if sign else f"+{plain}"][style]


def _whole(low: int, high: int) -> st.SearchStrategy[Cell]:
    edges = st.sampled_from([low, low + 1, high - 1, high, 0, -1, 1])
    inside = st.one_of(edges, st.integers(low, high))
    good = st.builds(lambda number, style: Cell(_written(Decimal(number), style), number), inside, st.integers(0, 4))
    outside = st.sampled_from([low - 1, high + 1]).map(lambda number: Cell(str(number), Meaning.LEFT_OUT))
    special = st.sampled_from([Cell("-0", 0), Cell("3.000", 3), Cell("30e-1", 3), Cell("4.", 4)])
    return st.one_of(_padded(good), special, outside, _wrong("1.5", "0.0000001"), _not_numbers)


def _scaled(digits: int, most: int) -> st.SearchStrategy[Cell]:
    unit = Decimal(1).scaleb(-digits)

    def cell(number: Decimal, style: int) -> Cell:
        # Halves are rounded away from zero, as people round money.
        return Cell(_written(number, style), float(number.quantize(unit, rounding=ROUND_HALF_UP)) + 0.0)

    numbers = st.decimals(-most, most, places=10, allow_nan=False)
    halves = st.integers(-(10**6), 10**6).map(lambda whole: whole * unit + unit / 2)
    special = st.sampled_from([Cell("-0", 0.0), Cell("-0.00001", 0.0), Cell(".5", 0.5), Cell("7.", 7.0)])
    outside = _wrong("1e16", "-1e16")
    return st.one_of(
        _padded(st.builds(cell, st.one_of(numbers, halves), st.integers(0, 4))), special, outside, _not_numbers
    )


def _texts(most: int) -> st.SearchStrategy[Cell]:
    # What XML cannot hold, the service refuses: a case of its own.
    refused = "".join(map(chr, {*range(0x20), 0xFFFE, 0xFFFF} - {0x09, 0x0A, 0x0D}))
    characters = st.characters(exclude_categories=["Cs"], exclude_characters=refused)
    special = st.sampled_from(
        [
            *("  ", "a ", " a", "A", "á", "a\u0301", "ﬁ", "ß", "İ", "😀", "👩\u200d👩\u200d👧", "\ufeffx"),
            *(
                '"',
                '""',
                "'",
                "''; DROP TABLE desired; --",
                "a,b",
                "a;b",
                "\r",
                "\n",
                "line\r\nline",
                "\u2028",
                "\x7f",
            ),
            *("null", "NULL", "None", "true", "0012", "1e5", "-0", "=1+1", "\\", "\\N", "\\u0041"),
            *("{}", "[1]", "{{ x }}", "@name", "%41", "</a>"),
            *("x" * most, "😀" * (most // 2), "é" * most),
        ]
    )
    long = _wrong("x" * (most + 1), "😀" * (most // 2) + "x", " " * (most + 1), meaning=Meaning.REJECTS)
    short = st.text(characters, min_size=1, max_size=most // 2)
    return st.one_of(short.map(_as_it_is), special.map(_as_it_is), long)


def _as_it_is(text: str) -> Cell:
    """Text stays as it is, unless it has a character that XML has no place for, which the service refuses."""
    refused = any(character in _NOT_IN_XML for character in text)
    return Cell(text, Meaning.REJECTS if refused else text)


_NOT_IN_XML: Final = frozenset({*map(chr, range(0x20)), "\ufffe", "\uffff"} - {"\t", "\n", "\r"})


def _any_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.lower(), text.title()])


_CHOSEN: Final = {"1": 1, "2": 2, "7": 7, "100000000": 100000000, "Gold": 1, "Silver, dull": 2, "Ünïcode ✓": 7}
_spelled = st.sampled_from(sorted(_CHOSEN)).flatmap(
    lambda text: _any_case(text).map(lambda said: (said, _CHOSEN[text]))
)
_choice = st.one_of(
    _padded(_spelled.map(lambda said: Cell(*said))),
    _wrong("3", "Golden", "Gold;1", "01", "1.0", meaning=Meaning.REJECTS),
)
_several = st.lists(_spelled, min_size=1, max_size=5).map(
    lambda said: Cell(
        # One label contains a comma: semicolons separate several labels.
        " ; ".join(text for text, _ in said) if len(said) > 1 else said[0][0],
        ",".join(map(str, sorted({value for _, value in said}))),
    )
)
_choices = st.one_of(
    _padded(_several),
    st.sampled_from([Cell("7,1", "1,7"), Cell("1, gold", "1"), Cell("100000000,2", "2,100000000")]),
    st.sampled_from([Cell("1;;7", "1,7"), Cell("gold;", "1"), Cell('["Silver, dull", "1"]', "1,2")]),
    _wrong("1;3", "Golden", '["Golden"]', "{}", meaning=Meaning.REJECTS),
)
_words = st.sampled_from(
    [(word, truth) for words, truth in (("true yes y t 1", True), ("false no n f 0", False)) for word in words.split()]
)
_labels = st.sampled_from([("Running", True), ("Off", False)])


def _truths(words: st.SearchStrategy[tuple[str, bool]]) -> st.SearchStrategy[Cell]:
    said = words.flatmap(lambda pair: _any_case(pair[0]).map(lambda text: Cell(text, pair[1])))
    return st.one_of(_padded(said), _wrong("2", "-1", "ja", "truee", "on off"))


_EARLIEST, _LATEST = datetime(1753, 1, 1), datetime(9999, 12, 30, 23, 59, 59)  # noqa: DTZ001 - offsets are added apart
_edges = st.sampled_from(
    [
        _EARLIEST, _LATEST, datetime(2024, 2, 29), datetime(2024, 3, 31, 2, 30), datetime(2024, 11, 3, 1, 30),  # noqa: DTZ001 - as above
        datetime(1899, 12, 31), datetime(1970, 1, 1), datetime(2038, 1, 19, 3, 14, 8), datetime(2000, 1, 1, 0, 0, 1),  # noqa: DTZ001 - as above
    ]
)  # fmt: skip
_moments = st.one_of(_edges, st.datetimes(_EARLIEST, _LATEST))
_not_dates = _wrong(
    *("1752-12-31", "10000-01-01", "2023-02-29", "2024-13-01", "31/01/2024", "24:61", "45000"),
    *("today", "epoch", "infinity", "0000-00-00", "-4713-01-01", "2024-01-01T25:00:00", "2024-01-01T10:00:00 noon"),
)


def _stored(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment.tzinfo else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _spelled_moment(moment: datetime, style: int, minutes: int) -> Cell:
    near_the_ends = moment.year in {_EARLIEST.year, _LATEST.year}
    if style == 0 or near_the_ends:
        return Cell(moment.isoformat(), _stored(moment))  # without an offset it is UTC
    if style == 1:
        return Cell(moment.isoformat(" "), _stored(moment))
    if style == 2:
        return Cell(f"{moment.isoformat()}Z", _stored(moment))
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    return Cell(there.isoformat(), _stored(there))


_times = st.one_of(
    _padded(st.builds(_spelled_moment, _moments, st.integers(0, 3), st.sampled_from([-720, -90, 0, 1, 345, 840]))),
    _not_dates,
)
_days = st.one_of(
    _padded(st.builds(lambda moment: Cell(f"{moment:%Y-%m-%d}", f"{moment:%Y-%m-%d}"), _moments)),
    _padded(st.builds(lambda moment: Cell(moment.isoformat(), f"{moment:%Y-%m-%d}"), _moments)),
    _not_dates,
)
_guids = st.one_of(
    _padded(
        st.builds(
            lambda guid, style: Cell([str(guid), str(guid).upper(), guid.hex, f"{{{guid}}}"][style], str(guid)),
            st.uuids(),
            st.integers(0, 3),
        )
    ),
    _wrong("1234", "00000000-0000-0000-0000-00000000000g", "id"),
)

_CELLS: Final[Mapping[str, st.SearchStrategy[Cell]]] = {
    "new_text": _texts(50),
    "new_memo": _texts(3000),
    "new_integer": _whole(-(2**31), 2**31 - 1),
    "new_small": _whole(-5, 5),
    "new_big": _whole(-(2**63), 2**63 - 1),
    "new_decimal": _scaled(3, 10**11),
    "new_money": _scaled(2, 10**12),
    "new_double": _scaled(5, 10**9),
    "new_flag": _truths(st.one_of(_words, _labels)),
    "new_choice": _choice,
    "new_choices": _choices,
    "new_day": _days,
    "new_local": _times,
    "new_fixed": _times,
    "new_guid": _guids,
}
_EMPTY: Final = Cell("", Meaning.EMPTY)


def _rows(cells: Mapping[str, st.SearchStrategy[Cell]]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({name: st.one_of(st.just(_EMPTY), each, each, each) for name, each in cells.items()})


def _pairs(cells: Mapping[str, st.SearchStrategy[Cell]]) -> st.SearchStrategy[list[tuple[Row, Row]]]:
    """Rows as they come first and as they come next time."""
    return st.lists(st.tuples(_rows(cells), _rows(cells)), min_size=3, max_size=8)


# -- The sync, and what it should leave behind ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A table with a column of every type."""
    folder = tmp_path_factory.mktemp("types")
    with world(folder, tables=_SCHEMA) as made:
        for on_null in ("clear", "keep"):
            made.define(_definition({}, on_null), f"text-{on_null}")
            made.define(_definition(_TYPED, on_null), f"typed-{on_null}")
        yield made


def _definition(types: Mapping[str, str], on_null: str) -> dict[str, Any]:
    definition = accounts()
    definition["source"]["columns"] = [
        {"name": "code"},
        *({"name": name, "type": types.get(name, "text")} for name in _COLUMNS),
    ]
    definition["destination"] |= {
        "entity": "new_specimen",
        "id_column": "new_specimenid",
        "mappings": [
            {"source": "code", "target": "new_code"},
            *({"source": name, "target": name, "on_null": on_null} for name in _COLUMNS),
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["new_code"]}
    return definition


_DEFAULTS: Final = {"new_flag": False}  # what a record is created with where a value is not sent


def _expected(rows: Sequence[Row], before: Mapping[str, dict[str, Any]], *, keep: bool) -> dict[str, dict[str, Any]]:
    """What the table holds after a run, by the documentation's rules alone."""
    after = {code: dict(record) for code, record in before.items()}
    for number, row in enumerate(rows):
        if any(cell.means is Meaning.REJECTS for cell in row.values()):
            continue
        record = after.setdefault(f"c{number}", dict.fromkeys(_COLUMNS) | _DEFAULTS)
        for name, cell in row.items():
            if cell.means is Meaning.EMPTY:
                record[name] = record[name] if keep else None
            elif cell.means is not Meaning.LEFT_OUT:
                record[name] = cell.means
    return after


def _held(here: World) -> dict[str, dict[str, Any]]:
    records = here.records(f"new_specimens?$select=new_code,{','.join(_COLUMNS)}")
    return {record["new_code"]: {name: record[name] for name in _COLUMNS} for record in records}


def _assert_close(found: Mapping[str, dict[str, Any]], expected: Mapping[str, dict[str, Any]]) -> None:
    """Equal; doubles up to the one that a half may be rounded to, for halves are rarely doubles."""
    assert found.keys() == expected.keys()
    for code, record in expected.items():
        for name, value in record.items():
            held = found[code][name]
            same = held == value or (name == "new_double" and held == pytest.approx(value, rel=1e-15, abs=1.01e-5))
            assert same, (code, name, value, held)


def _assert_reported(done: RunSummary, rows: Sequence[Row]) -> None:
    """The errors have every text that is not a value, with its row and column, and nothing else."""
    said = {
        (row, error.column): error.error_class
        for error in done.errors
        for row in error.rows
    }  # fmt: skip
    rejected = [number for number, row in enumerate(rows, start=1) if Meaning.REJECTS in _meanings(row)]
    assert done.source.rejected == len(rejected)
    for number, row in enumerate(rows, start=1):
        for name, cell in row.items():
            if cell.means is Meaning.REJECTS:
                assert said[number, name] == "Invalid Row"
            elif cell.means is Meaning.LEFT_OUT and number not in rejected:
                assert said[number, name] == "Invalid Column"
            elif cell.means is not Meaning.LEFT_OUT:
                assert (number, name) not in said


def _meanings(row: Row) -> set[Any]:
    return {cell.means for cell in row.values() if isinstance(cell.means, Meaning)}


def _run(here: World, name: str, rows: Sequence[Row]) -> RunSummary:
    here.csv([{"code": f"c{number}", **{k: cell.text for k, cell in row.items()}} for number, row in enumerate(rows)])
    return here.run(name)


def _check(here: World, name: str, pairs: Sequence[tuple[Row, Row]], *, keep: bool) -> None:
    here.emulator.reset()
    held: dict[str, dict[str, Any]] = {}
    for rows in ([first for first, _ in pairs], [second for _, second in pairs]):
        expected = _expected(rows, held, keep=keep)
        done = _run(here, name, rows)
        assert (done.failed, done.skipped) == (0, 0)
        assert done.created.done == len(expected) - len(held)
        held = _held(here)
        _assert_close(held, expected)
        _assert_reported(done, rows)
        again = here.plan(name)
        assert not again.plan.counts.changes, [change.to_json() for change in again.sample]


# Each example runs two syncs and two plans over HTTP, with thirty cells for every key.
_few = settings(max_examples=max(4, settings().max_examples // 8))


@pytest.mark.parametrize("on_null", ["clear", "keep"])
@_few
@given(data=st.data())
def test_text_becomes_values_of_every_type(specimens: World, on_null: str, data: st.DataObject) -> None:
    """Each column has the value of its text; after a second run nothing is left to do."""
    _check(specimens, f"text-{on_null}", data.draw(_pairs(_CELLS)), keep=on_null == "keep")


_TYPED_CELLS: Final = {**_CELLS, "new_flag": _truths(_words)}


@pytest.mark.parametrize("on_null", ["clear", "keep"])
@_few
@given(data=st.data())
def test_typed_columns_become_values_of_every_type(specimens: World, on_null: str, data: st.DataObject) -> None:
    """Numbers, dates and booleans of the source give the same values as their texts."""
    _check(specimens, f"typed-{on_null}", data.draw(_pairs(_TYPED_CELLS)), keep=on_null == "keep")
