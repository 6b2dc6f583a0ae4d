"""Query options: ``$select``, ``$filter``, ``$orderby``, ``$top``, ``$count``, ``$expand`` and the tokens of pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote_plus

from emulator.errors import ODataError, not_implemented, too_many_links, unknown_property
from emulator.odata.nodes import Expression, Property
from emulator.odata.parser import FilterParser, parse_filter
from emulator.odata.scopes import PairLink, child_link
from emulator.odata.sql import Order
from emulator.schema.model import Schema, Table

__all__ = ["Expand", "Query", "check_query", "parse_query", "split"]

_KNOWN: Final = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$apply", "$skiptoken", "$deltatoken", "$format"}
)
# optional-parameters page, and others
_CUSTOM: Final = frozenset({"fetchxml", "labellanguages", "partitionid", "savedquery", "tag", "userquery"})
_WHOLE_TABLES: Final = frozenset({"fetchxml", "savedquery", "userquery"})
_TOP_MAXIMUM: Final = 2**31 - 1
_TOP_DIGITS: Final = 10
_MOST_EXPANDS: Final = 15  # join-tables page: "up to 15 $expand options in a query"
_PLAIN: Final = "$(),;=/'@*:"  # characters that stay as they are in the links of expanded collections
_WITHIN_EXPAND: Final = frozenset({"$select", "$filter", "$orderby", "$top", "$expand"})  # the same page's table


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The query options of one request; `check_query` checks the names.

    Attributes:
        select: The requested properties, in order; None for all.
        filter: The parsed ``$filter``, or None.
        order: The terms of ``$orderby``.
        top: The largest number of rows, or None.
        count: Whether the answer must contain the number of all matching rows.
        expand: The navigation properties to expand.
        skip_token: The decoded ``$skiptoken`` of a next page, or None.
        delta_token: The decoded ``$deltatoken``, or None.
        aliases: Parameter aliases with their at-sign, as text.
        fetch_xml: The query in FetchXML, or None.
        apply: The text of ``$apply``, or None.
        custom: Options without a dollar sign by name, such as ``tag`` or ``partitionId``.
    """

    select: tuple[str, ...] | None = None
    filter: Expression | None = None
    order: tuple[Order, ...] = ()
    top: int | None = None
    count: bool = False
    expand: "tuple[Expand, ...]" = ()
    skip_token: str | None = None
    delta_token: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    fetch_xml: str | None = None
    apply: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)

    @property
    def shaping(self) -> tuple[str, ...]:
        """The names of the given options that say which rows and properties the answer has."""
        given = {
            "$select": self.select is not None,
            "$filter": self.filter is not None,
            "$expand": bool(self.expand),
            "$orderby": bool(self.order),
            "$top": self.top is not None,
            "$count": self.count,
            "$apply": self.apply is not None,
        }
        return tuple(name for name, is_given in given.items() if is_given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand:
    """One navigation property of ``$expand`` and the options in its parentheses.

    Attributes:
        name: The navigation property.
        query: The options.
        references: Whether ``/$ref`` follows the name: the answer then has only the address of the related row.
        text: The options as they are written.
    """

    name: str
    query: Query
    references: bool = False
    text: str = ""

    @property
    def query_string(self) -> str:
        """The options as those of a URL, percent-encoded."""
        options = (option.strip().partition("=") for option in split(self.text, ";") if option.strip())
        return "&".join(f"{name.strip()}={quote(value.strip(), safe=_PLAIN)}" for name, _, value in options)


def parse_query(raw: str) -> Query:
    """Parse the query string of a URL, percent-encoded, without the question mark.

    Raises:
        ODataError: An option is unknown, repeated, not supported by the service, or not well formed.
        ServiceError: The service has the option and the emulator does not (501).
    """
    if not raw:
        return Query()
    options: dict[str, str] = {}
    for pair in raw.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name = unquote_plus(name)
        if not name:
            continue  # ignored, as any unknown custom option
        if name in options:
            raise ODataError(
                f"Query option '{name}' was specified more than once, but it must be specified at most once."
            )
        options[name] = unquote_plus(value)
    return _query(options)


def _query(options: Mapping[str, str], depth: int = 0) -> Query:
    """Reads options by name; `depth` is the number of ``$expand`` around them."""
    for name in options:
        _check_name(name)
    aliases = {name: value for name, value in options.items() if name.startswith("@")}
    return Query(
        select=_select(options.get("$select")),
        filter=parse_filter(options["$filter"], aliases) if "$filter" in options else None,
        order=tuple(_order(options["$orderby"], aliases)) if "$orderby" in options else (),
        top=_top(options["$top"]) if "$top" in options else None,
        count=_count(options.get("$count", "false")),
        expand=tuple(_expands(options["$expand"], aliases, depth + 1)) if "$expand" in options else (),
        skip_token=options.get("$skiptoken"),
        delta_token=options.get("$deltatoken"),
        aliases=aliases,
        fetch_xml=next((value for name, value in options.items() if name.lower() == "fetchxml"), None),
        apply=options.get("$apply"),
        custom={name: value for name, value in options.items() if name[0] not in "$@"},
    )


def _check_name(name: str) -> None:
    if name == "$skip":
        raise ODataError("Skip Clause is not supported in CRM")
    if name.lower() == "sql":
        raise not_implemented(f"The query option '{name}' is not emulated.")
    if name.startswith("@") or name in _KNOWN or name.lower() in _CUSTOM:
        return
    # The service refuses any other option, also one without a dollar sign; the texts are those of real organisations.
    raise ODataError(f"The query parameter {name} is not supported", code="0x80060888" if name[0] == "$" else "0x0")


def _select(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if len(names) > 1 and not names[-1]:
        names.pop()  # "name," is read as "name"
    if "" in names:
        raise ODataError("Term '' is not valid in a $select or $expand expression.")
    return None if "*" in names else tuple(dict.fromkeys(names))


def _top(text: str) -> int:
    if not text.isdecimal() or len(text) > _TOP_DIGITS or int(text) > _TOP_MAXIMUM:
        raise ODataError(
            f"Invalid value '{text}' for $top query option found. The $top query option requires a non-negative "
            "integer value."
        )
    return int(text)


def _count(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ODataError(f"Invalid value '{text}' for $count query option found. Valid values are 'true' or 'false'.")
    return text == "true"


def _order(text: str, aliases: Mapping[str, str]) -> Iterator[Order]:
    for part in split(text, ","):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1] not in {"asc", "desc"}):  # noqa: PLR2004 - name and direction
            raise ODataError(f"Syntax error at position {len(words[0]) if words else 0} in '{text}'.")
        operand = FilterParser(words[0], aliases).operand()
        if not isinstance(operand, Property):
            raise ODataError(f"Rows are ordered by properties: '{words[0]}' is not a property.")
        yield Order(operand=operand, descending=words[-1] == "desc")


def _expands(text: str, aliases: Mapping[str, str], depth: int) -> Iterator[Expand]:
    if depth > _MOST_EXPANDS:
        raise too_many_links()
    for part in split(text, ","):
        name, opened, rest = part.strip().partition("(")
        if not name or (opened and not rest.endswith(")")):
            raise ODataError("Term '' is not valid in a $select or $expand expression.")
        options: dict[str, str] = dict(aliases)
        for option in split(rest[:-1], ";") if rest else ():
            key, value = (part.strip() for part in option.partition("=")[::2])
            if key not in _WITHIN_EXPAND:
                raise ODataError(f"The query parameter '{key}' is not supported within $expand.")
            options[key] = value
        bare = name.removesuffix("/$ref")
        yield Expand(name=bare, query=_query(options, depth), references=bare != name, text=rest[:-1])


def split(text: str, separator: str) -> Iterator[str]:
    """Split a text at the separators outside quotes and parentheses."""
    depth, quoted, start = 0, False, 0
    for position, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            if char == separator and depth == 0:
                yield text[start:position]
                start = position + 1
    yield text[start:]


def check_query(query: Query, table: Table, schema: Schema, *, nested: bool = False) -> Query:
    """Check every name of a query, except those of the filter, which the compiler checks.

    Returns:
        The query; its ``select`` has no navigation properties, as these have no value.

    Raises:
        ODataError: The table does not have a property, or a property to expand is not a navigation property.
        ServiceError: The query has an option that is emulated for whole tables only (501).
    """
    whole = ["$apply"] if query.apply is not None else []
    for name in (*whole, *(name for name in query.custom if name.lower() in _WHOLE_TABLES)):
        raise not_implemented(f"The query option '{name}' is emulated for whole tables only.")
    for name in query.select or ():
        if name not in table.by_property and name not in table.by_navigation and not child_link(name, table, schema):
            raise unknown_property(name, table.logical_name)
    if _expansions(query) > _MOST_EXPANDS:
        raise too_many_links()
    for expand in query.expand:
        _check_expand(expand, table, schema)
    _check_limited(query, table, nested=nested)
    _check_pairs(query, table, schema, nested=nested)
    if query.select is None:
        return query
    chosen = tuple(name for name in query.select if name in table.by_property)
    return query if chosen == query.select else replace(query, select=chosen)


def _expansions(query: Query) -> int:
    return sum(1 + _expansions(expand.query) for expand in query.expand)


def _check_expand(expand: Expand, table: Table, schema: Schema) -> None:
    link = None
    names: tuple[str, ...] = ()
    if expand.name in table.by_navigation:
        names = table.targets_of(expand.name)
    elif link := child_link(expand.name, table, schema):
        names = (link.table.logical_name,)
    targets = [schema.tables[name] for name in names if name in schema.tables]
    if not targets:
        if expand.name in table.by_property:
            raise ODataError(
                f"Property '{expand.name}' on type '{table.edm_name}' is not a navigation property or complex "
                "property. Only navigation properties can be expanded.",
                code="0x0",
            )
        raise unknown_property(expand.name, table.logical_name)
    if expand.references and (link is not None or expand.query != Query(aliases=expand.query.aliases)):
        raise ODataError("Expand with $ref is only supported on lookup type navigation property.")
    if len(targets) == 1:
        check_query(expand.query, targets[0], schema, nested=True)
    else:
        _check_principal(expand.query, targets)


def _check_limited(query: Query, table: Table, *, nested: bool) -> None:
    """Check that only collections are ordered and limited, and only where no ``$expand`` is nested (join-tables)."""
    nested = nested or any(expand.query.expand for expand in query.expand)
    for expand in query.expand:
        limited = expand.query.top is not None or expand.query.order
        if limited and (nested or expand.name in table.by_navigation):
            raise ODataError(
                "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or "
                "nested one-to-many relationship."
            )


def _check_pairs(query: Query, table: Table, schema: Schema, *, nested: bool) -> None:
    """Check that many-to-many relationships are expanded beside each other only (join-tables, "Supported" table)."""
    pairs = [one for one in query.expand if isinstance(child_link(one.name, table, schema), PairLink)]
    if pairs and (nested or len(pairs) < len(query.expand) or any(one.query.expand for one in pairs)):
        raise ODataError(
            f"Expanding the many-to-many relationship '{pairs[0].name}' with other relationships or in a nested "
            "$expand is not supported."
        )


def _check_principal(query: Query, targets: Sequence[Table]) -> None:
    """Check the query of an expanded owner, a user or a team: each column is one of at least one of them."""
    if query.expand or query.filter is not None or query.order:
        raise ODataError("Only $select is supported for an expanded principal.")
    for name in query.select or ():
        if not any(name in target.by_property for target in targets):
            raise unknown_property(name, "principal")
