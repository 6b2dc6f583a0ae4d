"""The element of the source: the kinds that this program has, and a file in the place of all others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.definitions.models.sources.text import codec_name
from shared.drafts.batch_config.columns import DraftColumns, expression, read_columns
from shared.drafts.batch_config.elements import ConfigElement
from shared.drafts.batch_config.notes import Notes

__all__ = ["SourceDraft", "read_source", "source_part"]

SCHEMA: Final = "Schema"
FILTER: Final = "Filter"
FILE_PARAMETER: Final = "source_file"
DATABASE_VARIABLE: Final = "SOURCE_DATABASE_URL"
_EVENTS: Final = frozenset(
    {
        *("CinchyEventBrokerDataSource", "PollingEventBrokerDataSource", "KafkaTopicDataSource"),
        *("SalesforcePushTopicDataSource", "SalesforcePlatformEventDataSource"),
    }
)
_DATABASES: Final = re.compile(r"(MsSql|SqlServer|Oracle|DB2|Snowflake|Odbc).*DataSource", re.IGNORECASE)
_ENCODINGS: Final[Mapping[str, str]] = {
    "utf8": "utf-8",
    "utf8_bom": "utf-8",
    "utf-8": "utf-8",
    "utf16": "utf-16",
    "utf-16": "utf-16",
    "ascii": "ascii",
}
_SECRETS: Final = (
    *("connectionString", "username", "userName", "userId", "password", "clientId", "clientSecret", "accessKey"),
    *("secretKey", "accessKeyId", "secretAccessKey", "accountKey", "token", "apiKey"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDraft:
    """A source for YAML.

    Attributes:
        item: The mapping `source`.
        columns: Its columns.
        events: Whether it takes events: then the definition needs a listener.
        parameter: Name of a parameter that the run has to give; empty where none was added.
    """

    item: dict[str, Any]
    columns: DraftColumns
    events: bool = False
    parameter: str = ""


def source_part(root: ConfigElement) -> ConfigElement | None:
    """The element of the source: the first one whose name ends in `DataSource`."""
    return root.ending("DataSource")


def read_source(part: ConfigElement, notes: Notes) -> SourceDraft:
    """Read the element of the source."""
    if part.name in _EVENTS:
        return _events(part, notes)
    if _DATABASES.fullmatch(part.name):
        return _database(part, notes)
    reader = _READERS.get(part.name)
    return reader(part, notes) if reader else _other(part, notes)


def _delimited(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=False)
    item: dict[str, Any] = {"type": "delimited", "path": _path(part, notes)}
    item |= _delimiter(part, notes)
    qualifier = part.verbatim("textQualifier")
    if qualifier != '"':
        item["text_qualifier"] = qualifier or ""
    item |= _encoding(part, notes) | _header(part, notes)
    return _with_filter(part, item, columns, notes)


def _delimiter(part: ConfigElement, notes: Notes) -> dict[str, str]:
    given = part.verbatim("delimiter")
    if not given or given == ",":
        return {}
    if given == " ":
        notes.add(part, "XML reads a tab as a blank too: check which one separates the fields", "delimiter")
    return {"delimiter": {"\\t": "\\t", "tab": "\\t", "pipe": "|", "comma": ","}.get(given.strip().lower(), given)}


def _fixed_width(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=True)
    item: dict[str, Any] = {"type": "fixed_width", "path": _path(part, notes)} | _encoding(part, notes)
    rows = _header(part, notes)
    if rows.pop("header", True):  # the line of names is none of the data: columns have their places
        rows["header_rows_to_ignore"] = rows.get("header_rows_to_ignore", 0) + 1
    item |= rows
    return _with_filter(part, item, columns, notes)


def _excel(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=False)
    item: dict[str, Any] = {"type": "excel", "path": _path(part, notes)}
    item |= {"sheet": sheet} if (sheet := part.get("sheetName", "sheet")) else {}
    return _with_filter(part, item | _header(part, notes), columns, notes)


def _parquet(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=False)
    item = {"type": "parquet", "path": _path(part, notes)}
    if part.get("rowGroupSize"):
        notes.add(part, "this setting is not needed; nothing was made of it", "rowGroupSize")
    return _with_filter(part, item, columns, notes)


def _rest(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=True, widths=False)
    item: dict[str, Any] = {"type": "rest"}
    url = part.get("endpoint", "endpointUrl", "url") or ""
    if url.startswith(("https://", "@")):
        item["url"] = url
    else:
        notes.add(part, "write the address of the API; it has to start with https://", "endpoint")
        item["url"] = "https://api.example.com/"
    if (method := (part.get("method", "httpMethod") or "GET").upper()) == "POST":
        item["method"] = method
    elif method != "GET":
        notes.add(part, "only GET and POST can be sent; GET is sent now", "method")
    if (part.get("format", "responseFormat") or "JSON").upper() != "JSON":
        notes.add(part, "only answers in JSON can be read", "format")
    item |= {"records": path} if (path := part.get("rootPath", "recordsRootJsonPath")) else {}
    if part.get("pathToIterate"):
        notes.add(part, "write the records that are meant as a JSONPath in `records`", "pathToIterate")
    item |= _headers(part, notes)
    if (body := part.child("Body")) is not None and body.text:
        item |= {"method": "POST", "body": body.text}
    item |= _pagination(part, notes)
    return _with_filter(part, item, columns, notes)


def _headers(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    """The headers of requests that are no secrets."""
    found: dict[str, str] = {}
    for header in (each for group in part.children("RequestHeaders") for each in group.children("Header")):
        name = header.get("name")
        if header.flag("isEncrypted", other=True):
            notes.add(header, "the value is encrypted: write this header with a reference to a secret")
            header.skip()
        elif name and name.lower() in map(str.lower, found):
            notes.add(header, f"another header has the name {name}; this one was left out")
            header.skip()
        elif name:
            found[name] = header.text
    return {"headers": found} if found else {}


def _pagination(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    pages = part.child("Pagination")
    if pages is None:
        return {}
    kind = (pages.get("type") or "").upper()
    made = _offset_pages(pages) if kind == "OFFSET" else _cursor_pages(pages) if kind == "CURSOR" else None
    if made is None:
        notes.add(pages, "this pagination cannot be taken over: write `pagination` if there are several pages")
        pages.skip()
    return {"pagination": made} if made else {}


def _offset_pages(pages: ConfigElement) -> dict[str, Any] | None:
    """Pages by a number of records; empty for the placeholder that stands for no pages."""
    size, first = pages.get("limit") or "0", pages.get("initialOffset") or "0"
    parameter, size_parameter = pages.get("offsetField"), pages.get("limitField")
    if not (size.isdecimal() and first.isdecimal()):
        return None
    if not int(size):
        return {}
    if parameter is None or size_parameter is None:
        return None
    named = {"parameter": parameter, "size": int(size), "size_parameter": size_parameter}
    return {"type": "offset", **named} | ({"first": int(first)} if int(first) else {})


def _cursor_pages(pages: ConfigElement) -> dict[str, Any] | None:
    path, parameter = pages.get("pathInResponse"), pages.get("cursorPropertyName")
    return {"type": "cursor", "parameter": parameter, "next": path} if path and parameter else None


def _events(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=True, widths=False)
    if part.flag("runQuery"):
        notes.add(part, "the source runs a saved query for each event: send the whole record in the event", "runQuery")
    for name in ("domain", "name", "parameters", "pathToIterate"):
        if part.get(name):
            notes.add(part, "this belongs to the platform's own events and has no meaning here", name)
    notes.add(part, "events come from an event hub: write the listener, its format and its filter, and enable it")
    made = _with_filter(part, {"type": "events"}, columns, notes)
    return SourceDraft(item=made.item, columns=made.columns, events=True)


def _database(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=False)
    notes.add(part, f"put the URL of the database into a secret; it is read from {DATABASE_VARIABLE} now")
    _ciphers(part)
    item: dict[str, Any] = {"type": "sql", "connection": {"env": DATABASE_VARIABLE}}
    query = part.get("query", "sql") or next((each.text for each in part.children("Query", "CQL", "Sql")), None)
    table = part.get("table", "tableName", "object", "objectName")
    if query:
        item["query"] = query
    elif table:
        schema = part.get("schema")
        item["table"] = f"{schema}.{table}" if schema else table
    else:
        notes.add(part, "write the `table` or the `query` to read")
        item["table"] = "source_table"
    if (condition := _filter_text(part, notes)) is not None:
        item["filter"] = condition
        notes.add(part.children(FILTER)[0], "this filter must be in the SQL of the database; check it")
    return SourceDraft(item={**item, "columns": columns.items}, columns=columns)


def _dynamics(part: ConfigElement, notes: Notes) -> SourceDraft:
    columns = read_columns(part, notes, paths=False, widths=False)
    notes.add(part, "sign-in: put the client id and the secret of the source's environment into the named variables")
    _ciphers(part)
    if part.get("redirectUri"):
        notes.add(part, "the sign-in needs no redirect; nothing was made of it", "redirectUri")
    item: dict[str, Any] = {
        "type": "dynamics",
        "service_url": part.get("serviceUrl", "url") or "@service_url",
        "client_id": {"env": "DYNAMICS_SOURCE_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_SOURCE_CLIENT_SECRET"},
        "entity": part.get("entity") or "account",
    }
    if (condition := _filter_text(part, notes)) is not None:
        item["filter"] = condition
    return SourceDraft(item={**item, "columns": columns.items}, columns=columns)


def _other(part: ConfigElement, notes: Notes) -> SourceDraft:
    """A source that this program does not read: the same columns from a file."""
    columns = read_columns(part, notes, paths=True, widths=False)
    notes.add(
        part,
        f"this kind of source cannot be read: export its rows to a delimited file with these columns; "
        f"the parameter {FILE_PARAMETER} names it",
    )
    for item in columns.items:
        if item["name"].startswith("$") and "alias" in item:
            item["name"] = item.pop("alias")
    filters = part.children(FILTER)
    for each in filters:
        notes.add(each, "apply this filter in the export")
        each.skip()
    for child in part.children():
        if child.name not in {SCHEMA, FILTER}:
            child.skip()
            notes.add(child, "this belongs to a source that cannot be read")
    part.skip_attributes()
    item = {"type": "delimited", "path": f"@{FILE_PARAMETER}", "columns": columns.items}
    return SourceDraft(item=item, columns=columns, parameter=FILE_PARAMETER)


def _path(part: ConfigElement, notes: Notes) -> str:
    place = (part.get("source", "location") or "PATH").upper()
    if place not in {"PATH", "LOCAL"}:
        notes.add(part, "write the path of the file as a URL, such as abfs://container/file.csv", "source")
    _ciphers(part)
    if (path := part.get("path")) is None:
        notes.add(part, f"there is no path: the parameter {FILE_PARAMETER} names the file", "path")
        return f"@{FILE_PARAMETER}"
    return path


def _ciphers(part: ConfigElement) -> None:
    """Secrets are never taken over, and what replaces them is told by the note of the element."""
    part.take(*_SECRETS)


def _encoding(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    given = part.get("encoding")
    if given is None:
        return {}
    name = _ENCODINGS.get(given.lower(), given)
    try:
        codec_name(name)
    except ValueError:
        notes.add(part, "this encoding is not known; utf-8 is used", "encoding")
        return {}
    return {} if name == "utf-8" else {"encoding": name}


def _rows(part: ConfigElement, attribute: str, notes: Notes) -> int:
    text = part.get(attribute) or "0"
    if not text.isdecimal():
        notes.add(part, "this is not a number of rows; no row is skipped", attribute)
        return 0
    return int(text)


def _header(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    """The rows above the data: their number includes the line of names, which is used only if that is asked for."""
    ignored, foot = _rows(part, "headerRowsToIgnore", notes), _rows(part, "footerRowsToIgnore", notes)
    named = part.flag("useHeaderRecord")
    found: dict[str, Any] = {"footer_rows_to_ignore": foot} if foot else {}
    if named:
        return {"header": True, "header_rows_to_ignore": ignored - 1, **found} if ignored > 1 else found
    return {"header": False, "header_rows_to_ignore": ignored, **found} if ignored else {"header": False, **found}


def _filter_text(part: ConfigElement, notes: Notes) -> str | None:
    filters = part.children(FILTER)
    for each in filters[1:]:
        notes.add(each, "a source has one filter: join the conditions with AND")
        each.skip()
    text = filters[0].text if filters else ""
    return text or None


def _with_filter(part: ConfigElement, item: dict[str, Any], columns: DraftColumns, notes: Notes) -> SourceDraft:
    """The source with its columns, and with its filter where that is an SQL expression over them."""
    made = {**item, "columns": columns.items}
    if (written := _filter_text(part, notes)) is not None:
        condition = expression(written, columns)
        filters = part.children(FILTER)
        if condition is None:
            notes.add(filters[0], "this filter cannot be used: write it as an SQL condition in `source.filter`")
        else:
            made["filter"] = condition
            notes.add(filters[0], "the filter is an SQL condition now; check that it selects the same rows")
    parameter = FILE_PARAMETER if item.get("path") == f"@{FILE_PARAMETER}" else ""
    return SourceDraft(item=made, columns=columns, parameter=parameter)


_READERS: Final[Mapping[str, Callable[[ConfigElement, Notes], SourceDraft]]] = {
    "DelimitedDataSource": _delimited,
    "DynamicsDataSource": _dynamics,
    "ExcelDataSource": _excel,
    "FixedWidthDataSource": _fixed_width,
    "ParquetDataSource": _parquet,
    "RestApiDataSource": _rest,
}
