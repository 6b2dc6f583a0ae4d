"""From source values to target values: what each type of column can hold, and the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final

from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform.choices.options import ambiguous_flaw, number_names, unknown_flaw
from shared.transform.notation.blanks import trimmed
from shared.transform.notation.dates import iso_timestamp
from shared.transform.notation.numbers import NUMBER, number
from shared.transform.notation.texts import text_of
from shared.transform.notation.words import boolean, folded_word, listed_value, named_by, spelled
from shared.transform.rules import ErrorType, ValueProblem
from shared.transform.service_values import canonical_double
from shared.transform.targets import CHOICES, IDS, TEXTS, precision, sql_type
from shared.workspace import literal, quoted

__all__ = ["Conversion", "conversion", "fits", "has_refused", "longer"]

# Dataverse keeps dates in SQL Server's datetime (Microsoft: behavior and format of the date and time column).
_EARLIEST, _AFTER_LATEST = "1753-01-01", "10000-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How the values of one kind become values of one column.

    Each step is a layer of the query, so that no expression is written, planned and computed twice.

    Attributes:
        read: A step over the incoming value; the query names its result.
        value: The target value, over that result.
        flaws: What can be wrong, over that result and the value.
        incoming: A step before, which replaces the incoming value; empty for none.
        options: Rows of (SQL of a constant, value), joined where the constant equals what was read; empty for no join.
        several: Of a choice: SQL of each constant that names several options -> those options. It gives no value.
    """

    read: str
    value: str
    flaws: tuple[ValueProblem, ...]
    incoming: str = ""
    options: tuple[tuple[str, int], ...] = ()
    several: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)

    def join(self, name: str) -> str:
        """SQL that joins the options of a column to the query `given`: fast however many they are. Empty for none."""
        if not self.options:
            return ""
        rows, option = ", ".join(f"({known}, {value})" for known, value in self.options), quoted(f"option:{name}")
        table = f"(VALUES {rows}) AS {option}(known, value)"
        return f"\n  LEFT JOIN {table} ON given.{quoted(f'read:{name}')} = {option}.known"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """The SQL names that a conversion is written over."""

    incoming: str
    read: str
    option: str
    value: str


def fits(kind: ColumnType, attribute: AttributeMetadata) -> bool:
    """Whether values of a type can be converted to values of a column."""
    return kind in _ACCEPTED.get(attribute.type, frozenset())


def conversion(kind: ColumnType, attribute: AttributeMetadata) -> Conversion:
    """Return how values of a kind become values of a column; see `fits`.

    The SQL is over ``"in:<name>"`` (the incoming value), ``"read:<name>"``, ``"option:<name>".value`` and ``"<name>"``.
    """
    name = attribute.name
    names = _Names(
        incoming=quoted(f"in:{name}"),
        read=quoted(f"read:{name}"),
        option=f"{quoted(f'option:{name}')}.value",
        value=quoted(name),
    )
    return _CONVERSIONS[attribute.type](kind, attribute, names)


_Several = Mapping[str, tuple[Choice, ...]]
_Converter = Callable[[ColumnType, AttributeMetadata, _Names], Conversion]


def _missed(names: _Names) -> str:
    return f"{names.incoming} IS NOT NULL AND {names.value} IS NULL"


def _string(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    flaws = [_character_flaw(names.value)] if kind in (ColumnType.TEXT, ColumnType.JSON) else []
    if attribute.max_length is not None:
        flaws.append(
            ValueProblem(
                error=ErrorType.MAX_LENGTH,
                message=f"longer than {attribute.max_length} characters, the limit of {attribute.name}",
                broken=longer(names.value, attribute.max_length),
                rejects=True,
            )
        )
    return Conversion(read=text_of(kind, names.incoming), value=names.read, flaws=tuple(flaws))


# XML 1.0 has no place for these, and the service refuses them (0x80040278).
_REFUSED_CHARACTERS: Final = r"\x00-\x08\x0B\x0C\x0E-\x1F\x{FFFE}\x{FFFF}"


def has_refused(text: str) -> str:
    """SQL condition: a text has a character that the service refuses."""
    return f"regexp_matches({text}, '[{_REFUSED_CHARACTERS}]')"


def _character_flaw(text: str) -> ValueProblem:
    """Text that the service would refuse; the message names the character and its position."""
    before = f"length(regexp_extract({text}, '^[^{_REFUSED_CHARACTERS}]*'))"
    return ValueProblem(
        error=ErrorType.INVALID_FORMAT,
        message="which Dataverse does not accept in text; remove it in the source, or with `replace`",
        broken=has_refused(text),
        value_detail=f"printf('character %d is U+%04X, ', {before} + 1, unicode({text}[{before} + 1]))",
        rejects=True,
    )


def longer(text: str, limit: int) -> str:
    r"""The service counts UTF-16 units: a character beyond U+FFFF counts as two. Bytes are a cheap upper bound."""
    beyond = f"length(regexp_replace({text}, '[^\\x{{10000}}-\\x{{10FFFF}}]', '', 'g'))"
    return f"strlen({text}) > {limit} AND length({text}) + {beyond} > {limit}"


def _as_number(kind: ColumnType, incoming: str) -> str:
    match kind:
        case ColumnType.NUMBER:
            return incoming
        case ColumnType.BOOL:
            return f"CAST(CAST({incoming} AS INTEGER) AS {NUMBER})"
        case _:
            return number(incoming)


def _blanks(kind: ColumnType, incoming: str) -> str:
    """The step that removes blanks at the ends of a text, where they have no meaning; a text of blanks is no value."""
    return f"nullif({trimmed(incoming)}, '')" if kind is ColumnType.TEXT else ""


_WHOLE_RANGES: Final = {
    AttributeType.INTEGER: (Decimal(-(2**31)), Decimal(2**31 - 1)),
    AttributeType.BIGINT: (Decimal(-(2**63)), Decimal(2**63 - 1)),
}


def _within(sql: str, attribute: AttributeMetadata, sql_type_: str = NUMBER, digits: int = 10) -> tuple[str, str]:
    """SQL condition that a number of a type with so many digits is in the column's range, and the range in words."""
    least, most = _WHOLE_RANGES.get(attribute.type, (Decimal("-Infinity"), Decimal("Infinity")))
    # repr: metadata gives doubles, and 0.1 means 0.1.
    low = least if attribute.min_value is None else max(least, Decimal(repr(attribute.min_value)))
    high = most if attribute.max_value is None else min(most, Decimal(repr(attribute.max_value)))
    # Bounds of the values' own type: beside a bare BIGINT the values would be cast to it, and overflow.
    bounds = ((">=", low, ROUND_CEILING), ("<=", high, ROUND_FLOOR))
    tests = [
        f"{sql} {sign} CAST({bound.quantize(Decimal(1).scaleb(-digits), rounding, _EXACT):f} AS {sql_type_})"
        for sign, bound, rounding in bounds
        if bound.is_finite()
    ]
    words = f" between {low.normalize():,f} and {high.normalize():,f}" if low.is_finite() and high.is_finite() else ""
    return " AND ".join(tests) or "true", words


_EXACT: Final = Context(prec=60)  # more digits than a bound can have


def _whole(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    """The nearest whole number is the value if the two are equal.

    It is found by way of a double, because DuckDB truncates and casts decimals of 38 digits by a slow division. Beyond
    2**53, which only a bigint holds, a double is not exact.
    """
    within, words = _within(names.read, attribute)
    whole = f"TRY_CAST(CAST({names.read} AS DOUBLE) AS {sql_type(attribute)})"
    branches = f"WHEN CAST({whole} AS {NUMBER}) = {names.read} THEN {whole}"
    if attribute.type is AttributeType.BIGINT:
        branches += f" WHEN {names.read} = trunc({names.read}) THEN TRY_CAST({names.read} AS {sql_type(attribute)})"
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=_as_number(kind, names.incoming),
        value=f"CASE WHEN {within} THEN CASE {branches} END END",
        flaws=(_format_flaw(f"not a whole number{words}", names),),
    )


def _decimal(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    """Rounded half away from zero at the column's precision, so that the service does not round it again.

    Rounded once: a text is read at that precision, for rounding 0.00499999999999 at ten digits first gives 0.01.
    """
    target = sql_type(attribute)
    incoming = names.incoming
    rounded = number(incoming, target) if kind is ColumnType.TEXT else f"CAST({incoming} AS {target})"
    within, words = _within(names.read, attribute, target, precision(attribute))
    return Conversion(
        incoming=_blanks(kind, incoming),
        read=rounded,
        value=f"CASE WHEN {within} THEN {names.read} END",
        flaws=(_format_flaw(f"not a number{words}", names),),
    )


def _double(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    source = number(names.incoming, "DOUBLE") if kind is ColumnType.TEXT else _as_number(kind, names.incoming)
    value = canonical_double(names.read, precision(attribute))
    within, words = _within(value, attribute)
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=f"CAST({source} AS DOUBLE)",
        value=f"CASE WHEN isfinite({names.read}) AND {within} THEN {value} END",
        flaws=(_format_flaw(f"not a number{words}", names),),
    )


def _format_flaw(message: str, names: _Names) -> ValueProblem:
    return ValueProblem(error=ErrorType.INVALID_FORMAT, message=message, broken=_missed(names))


def _boolean(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    """The column's own labels come first: an organisation can choose any label for the true value.

    A label that both options have names neither of them, whatever the word means elsewhere.
    """
    several = {text for text, options in named_by(attribute.choices).items() if len(options) > 1}
    labels = [(label, bool(choice.value)) for choice in attribute.choices for label in choice.labels]
    match kind:
        case ColumnType.BOOL:
            value = names.incoming
        case ColumnType.NUMBER:
            value = f"CASE {names.incoming} WHEN 1 THEN true WHEN 0 THEN false END"
        case _:
            value = boolean(names.incoming, labels, without=several)
    words = (*(label for label, _ in labels), "true", "false", "yes", "no", "1", "0")
    listed = ", ".join(dict.fromkeys(word for word in words if folded_word(word) not in several))
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=value,
        value=names.read,
        flaws=(_format_flaw(f"not one of: {listed}", names),),
    )


_MOST_LOOKED_UP: Final = 64  # texts of options that are compared one after the other; more are joined


def _choice(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    """By value or label; of a number the text is not made, because only a text that is a number can be equal to it."""
    named = named_by(attribute.choices)
    if kind is ColumnType.NUMBER:
        known = {f"CAST({text} AS {NUMBER})": options for text, options in number_names(named).items()}
        read = names.incoming
    else:
        known = {spelled(literal(text)): options for text, options in named.items()}
        read = spelled(text_of(kind, names.incoming))
    options, several = _divided(known)
    value, text = names.option, text_of(kind, names.incoming)
    if len(options) <= _MOST_LOOKED_UP:
        of_type = NUMBER if kind is ColumnType.NUMBER else "VARCHAR"
        value = listed_value(names.read, options, of_type, "INTEGER") if options else "CAST(NULL AS INTEGER)"
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=read,
        value=value,
        flaws=_choice_flaws(attribute, names, several, text),
        options=options if len(options) > _MOST_LOOKED_UP else (),
        several=several,
    )


def _divided(known: Mapping[str, tuple[Choice, ...]]) -> tuple[tuple[tuple[str, int], ...], _Several]:
    """Texts with the value of the one option that each names, and the texts that name several options."""
    alone = tuple((text, options[0].value) for text, options in known.items() if len(options) == 1)
    return alone, {text: options for text, options in known.items() if len(options) > 1}


def _choice_flaws(
    attribute: AttributeMetadata, names: _Names, several: _Several, text: str
) -> tuple[ValueProblem, ...]:
    missed = _missed(names)
    if not several:
        return (unknown_flaw(attribute, text, text, broken=missed),)
    is_one = f"{names.read} IN ({', '.join(several)})"
    return (
        unknown_flaw(attribute, text, text, broken=f"{missed} AND NOT {is_one}"),
        ambiguous_flaw(attribute, several, names.read, broken=f"{missed} AND {is_one}"),
    )


def _multi_choice(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    """A set of options, as values or labels with semicolons or commas between them; held as `1,9`, sorted.

    A JSON array is taken as well. What stands between two separators, or after the last, may be empty: forms end their
    lists with one.
    """
    named = {spelled(literal(text)): options for text, options in named_by(attribute.choices).items()}
    options, several = _divided(named)
    known, text = f"[{', '.join(named)}]::VARCHAR[]", names.incoming
    value = listed_value("part", options, "VARCHAR", "INTEGER") if options else "CAST(NULL AS INTEGER)"
    chosen = f"list_sort(list_distinct(list_transform({names.read}, lambda part: {value})))"
    unknown = f"list_filter({names.read}, lambda part: NOT list_contains({known}, part))"
    flaws = [unknown_flaw(attribute, text_of(kind, text), f"{unknown}[1]", broken=f"len({unknown}) > 0")]
    if several:
        unclear = f"list_filter({names.read}, lambda part: list_contains([{', '.join(several)}]::VARCHAR[], part))"
        flaws.append(ambiguous_flaw(attribute, several, f"{unclear}[1]", broken=f"len({unclear}) > 0"))
    return Conversion(
        incoming=spelled(_blanks(kind, text) or text_of(kind, text)),
        read=f"list_filter(list_transform({_parts(text, known)}, lambda part: trim(part)), lambda part: part <> '')",
        value=f"CASE WHEN len({names.read}) > 0 THEN array_to_string({chosen}, ',') END",
        flaws=tuple(flaws),
    )


def _parts(text: str, known: str) -> str:
    """SQL for the list that a text represents; the text as a whole and semicolons go first: labels hold commas."""
    return (
        f"CASE WHEN list_contains({known}, {text}) THEN [{text}] "
        f"WHEN starts_with({text}, '[') AND TRY_CAST({text} AS JSON) IS NOT NULL "
        f"THEN TRY_CAST(TRY_CAST({text} AS JSON) AS VARCHAR[]) "
        f"ELSE string_split({text}, CASE WHEN contains({text}, ';') THEN ';' ELSE ',' END) END"
    )


def _moment(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    target = sql_type(attribute)
    value = f"CAST({names.read} AS DATE)" if target == "DATE" else f"date_trunc('second', {names.read})"
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=names.incoming if kind is ColumnType.DATE else iso_timestamp(names.incoming),
        value=f"CASE WHEN {names.read} >= TIMESTAMP '{_EARLIEST}' AND {names.read} < TIMESTAMP '{_AFTER_LATEST}' "
        f"THEN {value} END",
        flaws=(_format_flaw("not a date between 1753-01-01 and 9999-12-31", names),),
    )


def _guid(kind: ColumnType, attribute: AttributeMetadata, names: _Names) -> Conversion:
    del attribute  # every id is of one form
    return Conversion(
        incoming=_blanks(kind, names.incoming),
        read=f"TRY_CAST({names.incoming} AS UUID)",
        value=names.read,
        flaws=(_format_flaw("not an id such as 00000000-0000-0000-0000-000000000000", names),),
    )


_CONVERSIONS: Final[Mapping[AttributeType, _Converter]] = {
    **dict.fromkeys(TEXTS, _string),
    **dict.fromkeys(CHOICES, _choice),
    AttributeType.INTEGER: _whole,
    AttributeType.BIGINT: _whole,
    AttributeType.DECIMAL: _decimal,
    AttributeType.MONEY: _decimal,
    AttributeType.DOUBLE: _double,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.MULTI_PICKLIST: _multi_choice,
    AttributeType.DATETIME: _moment,
    **dict.fromkeys(IDS, _guid),
}

_NUMERIC: Final = frozenset({ColumnType.TEXT, ColumnType.NUMBER, ColumnType.BOOL})
_ACCEPTED: Final[Mapping[AttributeType, frozenset[ColumnType]]] = {
    **dict.fromkeys(TEXTS, frozenset(ColumnType)),
    **dict.fromkeys(CHOICES, frozenset({ColumnType.TEXT, ColumnType.NUMBER})),
    AttributeType.INTEGER: _NUMERIC,
    AttributeType.BIGINT: _NUMERIC,
    AttributeType.DECIMAL: frozenset({ColumnType.TEXT, ColumnType.NUMBER}),
    AttributeType.MONEY: frozenset({ColumnType.TEXT, ColumnType.NUMBER}),
    AttributeType.DOUBLE: frozenset({ColumnType.TEXT, ColumnType.NUMBER}),
    AttributeType.BOOLEAN: _NUMERIC,
    AttributeType.MULTI_PICKLIST: frozenset({ColumnType.TEXT, ColumnType.NUMBER}),
    AttributeType.DATETIME: frozenset({ColumnType.TEXT, ColumnType.DATE}),
    **dict.fromkeys(IDS, frozenset({ColumnType.TEXT})),
}
