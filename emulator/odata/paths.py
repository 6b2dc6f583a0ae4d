"""Resource paths: ``accounts(accountnumber='A1')/primarycontactid/$ref`` and the references in bodies."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from emulator.errors import ODataError, invalid_entity_key, unknown_segment
from emulator.odata.aliases import json_literal
from emulator.odata.lexer import END, GUID, Token, literal_of, tokenize
from emulator.odata.nodes import Literal
from emulator.odata.types import Stored, fits, stored_literal
from emulator.odata.types import edm_type as type_of
from emulator.schema.model import AlternateKey, Schema, Table

__all__ = ["Arguments", "RowKey", "Segment", "parse_path", "parse_reference", "resolve_key", "row_reference"]

_NO_ALIASES: Final[Mapping[str, str]] = MappingProxyType({})
# ASP.NET refuses these characters in a path before Dataverse reads it; "/" splits the path
# (use-alternate-key-reference-record page, the list of characters that do not work).
_DANGEROUS: Final = re.compile(r"[<>*%&:\\?+]")
_BY_ID: Final = re.compile(rf"/?(\w+)\(({GUID})\)")
_BY_TEXT: Final = re.compile(r"/?(\w+)\((\w+)='([^'%]*)'\)")
_QUOTED: Final = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
_ARGUMENT: Final = re.compile(rf"""\s*(\w+)\s*=\s*(\[(?:{_QUOTED}|[^\]'"])*\]|{_QUOTED}|[^,\['"]+)\s*(?:,|$)""")
_MOST_SEGMENTS: Final = 100  # the limit of Microsoft's OData library
_ROOT: Final = re.compile(r"(?:https?://[^/]+)?/?(?:api/data/v\d+\.\d+/)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The values in the parentheses of a segment: one without a name, or several by name; none for ``()``."""

    single: Literal | None = None
    named: Mapping[str, Literal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of a path; `arguments` is None without parentheses."""

    name: str
    arguments: Arguments | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """The key by which a path addresses a row.

    Attributes:
        id: The primary key, in lower case, or None.
        key: The alternate key, or None.
        values: Stored values of the alternate key by logical column name, not in normal form; with an `id`, the
            partition of a row of an elastic table.
    """

    id: str | None = None
    key: AlternateKey | None = None
    values: Mapping[str, Stored] = field(default_factory=dict)


def parse_path(raw: str, aliases: Mapping[str, str] = _NO_ALIASES) -> tuple[Segment, ...]:
    """Parse the path of a request, the part after ``/api/data/v9.2/``, percent-encoded.

    Raises:
        ODataError: The path is not well formed, or contains a character that the web server refuses in a path.
    """
    path = unquote(raw)
    refused = _DANGEROUS.search(path)
    if refused:
        raise ODataError(
            f"A potentially dangerous Request.Path value was detected from the client ({refused.group()}).", code="0x0"
        )
    for segment in path.split("/"):
        if segment.count("'") % 2:  # a slash within quotes: the service splits the path there too
            raise ODataError(
                "URL was not parsed due to an ODataUnrecognizedPathException. Resource not found for the segment "
                "provided in the URL.",
                status=404,
            )
    return tuple(_segments(path, aliases))


def parse_reference(text: str) -> tuple[Segment, ...]:
    """Parse a reference in a body, such as ``/accounts(accountnumber='A/1')`` or a whole URL of this service.

    Raises:
        ODataError: The reference is not well formed.
    """
    plain = _ROOT.sub("", text, count=1)
    return tuple(_segments(unquote(plain), _NO_ALIASES))


def row_reference(text: str, schema: Schema) -> tuple[Table, RowKey]:
    """Return the table and key of an ``@odata.bind`` or ``@odata.id``; the usual forms do not need the parser.

    Raises:
        ServiceError: There is no such table, or no such key.
    """
    match = _BY_ID.fullmatch(text)
    if match is not None and match[1] in schema.by_entity_set:
        return schema.by_entity_set[match[1]], RowKey(id=match[2].lower())
    match = _BY_TEXT.fullmatch(text)
    if match is not None and match[1] in schema.by_entity_set:
        table = schema.by_entity_set[match[1]]
        for key in table.keys:
            if (
                key.columns == (match[2],)
                and key.status == "Active"
                and type_of(table.columns[match[2]]) == "Edm.String"
            ):
                return table, RowKey(key=key, values={match[2]: match[3]})
    segments = parse_reference(text)
    first = segments[0] if segments else Segment(name=text)
    found = schema.by_entity_set.get(first.name)
    if found is None:
        raise unknown_segment(first.name)
    if len(segments) > 1 or first.arguments is None:
        raise invalid_entity_key(found.logical_name)
    return found, resolve_key(first.arguments, found)


def resolve_key(arguments: Arguments, table: Table) -> RowKey:
    """Return the key of a row of ``table`` from a key predicate.

    Raises:
        ServiceError: The names do not form a key of the table (400), or the index of the key is not active (404).
    """
    if arguments.single is not None:
        return RowKey(id=_identifier(arguments.single, table))
    names = set(arguments.named)
    if table.primary_id in names and names <= {table.primary_id, "partitionid"} and table.guid_keys_addressable:
        rest = {
            name: _value(literal, name, table) for name, literal in arguments.named.items() if name == "partitionid"
        }
        return RowKey(id=_identifier(arguments.named[table.primary_id], table), values=rest)
    for key in table.keys:
        properties = {table.columns[name].property_name: name for name in key.columns}
        if properties.keys() == names:
            if key.status != "Active":
                raise unknown_segment(table.entity_set)
            values = {properties[name]: _value(literal, name, table) for name, literal in arguments.named.items()}
            return RowKey(key=key, values=values)
    raise invalid_entity_key(table.logical_name)


def _identifier(literal: Literal, table: Table) -> str:
    if literal.edm != "Edm.Guid" or not isinstance(literal.value, str):
        raise invalid_entity_key(table.logical_name)
    return literal.value


def _value(literal: Literal, name: str, table: Table) -> Stored:
    column = table.by_property.get(name)
    if column is None or literal.value is None or not fits(literal, type_of(column)):
        raise invalid_entity_key(table.logical_name)
    return stored_literal(literal, column)


def _segments(path: str, aliases: Mapping[str, str]) -> Iterator[Segment]:
    for number, part in enumerate(_parts(path)):
        if number == _MOST_SEGMENTS:
            raise ODataError("Too many segments in URI.")
        name, opened, rest = part.partition("(")
        if not name or (opened and not rest.endswith(")")):
            raise ODataError("Bad Request - Error in query syntax.")
        yield Segment(name=name, arguments=_arguments(rest[:-1], aliases) if opened else None)


def _parts(path: str) -> Iterator[str]:
    """Split at the slashes outside quotes."""
    if "'" not in path:
        yield from filter(None, path.strip("/").split("/"))
        return
    piece: list[str] = []
    quoted = False
    for char in path.strip("/"):
        quoted = quoted is not (char == "'")
        if char == "/" and not quoted:
            yield "".join(piece)
            piece = []
        else:
            piece.append(char)
    if piece:
        yield "".join(piece)


def _arguments(text: str, aliases: Mapping[str, str]) -> Arguments:
    if "=[" in text.replace(" ", ""):
        return Arguments(named=dict(_with_lists(text, aliases)))
    tokens = tokenize(text)
    if len(tokens) == 1:
        return Arguments()
    if len(tokens) == 2:  # noqa: PLR2004 - a value and the end
        return Arguments(single=_literal(tokens[0], aliases))
    named: dict[str, Literal] = {}
    for position in range(0, len(tokens), 4):
        group = tokens[position : position + 4]
        if [token.text for token in group[1:2]] != ["="] or len(group) < 4 or group[3].text not in {",", ""}:  # noqa: PLR2004 - name = value ,
            raise ODataError("Bad Request - Error in query syntax.")
        named[group[0].text] = _literal(group[2], aliases)
        if group[3].kind == END:
            return Arguments(named=named)
    raise ODataError("Bad Request - Error in query syntax.")


def _with_lists(text: str, aliases: Mapping[str, str]) -> Iterator[tuple[str, Literal]]:
    """The arguments of a function of which one is a list, ``EntityNames=['account','contact']``."""
    for match in _ARGUMENT.finditer(text):
        name, value = match[1], match[2].strip()
        if value.startswith("["):
            yield name, json_literal(value)
            continue
        tokens = tokenize(value)
        yield name, _literal(tokens[0], aliases)
    if _ARGUMENT.sub("", text).strip():
        raise ODataError("Bad Request - Error in query syntax.")


def _literal(token: Token, aliases: Mapping[str, str]) -> Literal:
    if token.kind == "alias" and token.text in aliases:
        text = aliases[token.text].strip()
        if text.startswith(("[", "{")):
            return json_literal(text)
        tokens = tokenize(text)
        token = tokens[0] if len(tokens) == 2 else tokens[-1]  # noqa: PLR2004 - a value and the end
    literal = literal_of(token)
    if literal is None:
        raise ODataError("Bad Request - Error in query syntax.")
    return literal
