"""Rules between the keys of a source: of every kind, and of each kind.

Paths start at the document; what is read is the raw mapping of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.calculated import CALCULATING, calculation_problems, is_calculated
from shared.definitions.loading.rules.environment import NO_ENVIRONMENT, environment_problems
from shared.definitions.loading.rules.notation import notation_problems
from shared.definitions.loading.rules.raw import Raw
from shared.definitions.loading.rules.rest import rest_problems
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.base import json_path
from shared.definitions.models.database_sql import condition_problem, query_problem
from shared.definitions.models.sources import KINDS, SelfDescribing, SourceModel
from shared.json_paths import steps_of

__all__ = ["own_columns", "own_types", "source_problems"]

_OF_FILES: Final = ("file_name", "file_path")


def source_problems(source: Raw) -> Iterator[PathProblem]:
    """Every problem between the keys of a source."""
    # The cells of a column need not have one type: a key about one type says which type the column has.
    typed = _is_self_describing(source) and source.get("type") != "excel"
    for path, column in _columns(source):
        yield from _column(path, column)
        yield from _file_column(path, column, str(source.get("type")))
        yield from notation_problems(path, column, any_type=typed and "type" not in column)
    for rule in _OF_KIND.get(str(source.get("type")), ()):
        yield from rule(source)


def own_columns(source: Raw) -> bool:
    """Whether the columns of a source are those that it has itself: the definition names none that is read."""
    return _is_self_describing(source) and not any(_is_stored(column) for _, column in _columns(source))


def own_types(source: Raw) -> bool:
    """Whether the source itself must be read to know its columns and their types."""
    if not _is_self_describing(source):
        return False
    read = [each for _, each in _columns(source) if _is_stored(each)]
    return not read or any("type" not in each for each in read)


def _is_stored(column: Raw) -> bool:
    """Whether a column is in the records of the source."""
    return not is_calculated(column) and not any(column.get(key) for key in _OF_FILES)


def _is_self_describing(source: Raw) -> bool:
    return issubclass(KINDS.get(str(source.get("type")), SourceModel), SelfDescribing)


def _columns(source: Raw) -> Iterator[tuple[Path, Raw]]:
    columns = source.get("columns")
    for index, column in enumerate(columns if isinstance(columns, list) else ()):
        if isinstance(column, dict):
            yield ("source", "columns", index), column


def _column(path: Path, column: Raw) -> Iterator[PathProblem]:
    yield from calculation_problems(path, column)
    reserved = [key for key in ("alias", "name") if _is_row_number(column.get(key))]
    if reserved:
        yield PathProblem(
            path=(*path, reserved[0]), message="_row is reserved for the row's number; choose another name"
        )


def _file_column(path: Path, column: Raw, kind: str) -> Iterator[PathProblem]:
    """A column that tells the file of a row."""
    keys = [key for key in _OF_FILES if column.get(key) is True]
    if not keys:
        return
    if "path" not in KINDS.get(kind, SourceModel).model_fields:
        yield PathProblem(path=(*path, keys[0]), message=f"a source of type {kind} has no files; remove this key")
    for key in (*CALCULATING, *_OF_FILES[1:]):
        if column.get(key) and key != keys[0]:
            message = f"{keys[0]} gives the value of the column already; remove this key, or make another column"
            yield PathProblem(path=(*path, key), message=message)


def _is_row_number(name: object) -> bool:
    """Whether a name is that of the row's number; SQL does not regard case."""
    return isinstance(name, str) and name.lower() == "_row"


def _paths_have_aliases(source: Raw) -> Iterator[PathProblem]:
    for path, column in _columns(source):
        name = column.get("name")
        if isinstance(name, str) and name.startswith("$") and column.get("alias") is None:
            yield PathProblem(path=(*path, "name"), message="a column with a JSONPath needs an alias")


def _paths_can_be_read(source: Raw) -> Iterator[PathProblem]:
    for path, column in _columns(source):
        name = column.get("name")
        if isinstance(name, str) and name.startswith("$"):
            try:
                json_path(name)
            except ValueError as error:
                yield PathProblem(path=(*path, "name"), message=str(error), at_value=True)


def _paths_name_fields(source: Raw) -> Iterator[PathProblem]:
    for path, column in _columns(source):
        name = column.get("name")
        if isinstance(name, str) and name.startswith("$") and steps_of(name) is None:
            message = "a field of a Parquet file is written with names, indices and [*], such as $.address.lines[0]"
            yield PathProblem(path=(*path, "name"), message=message, at_value=True)


def _places_in_the_line(source: Raw) -> Iterator[PathProblem]:
    for path, column in _columns(source):
        calculated = not _is_stored(column)
        for key in ("start", "width"):
            if calculated and column.get(key) is not None:
                yield PathProblem(path=(*path, key), message="a column that is not read has no place in the line")
            elif not calculated and column.get(key) is None:
                message = "this key is missing: a column that is read needs start (the first place is 1) and width"
                yield PathProblem(path=(*path, key), message=message)


def _one_statement(source: Raw) -> Iterator[PathProblem]:
    table, query, condition = source.get("table"), source.get("query"), source.get("filter")
    if (table is None) == (query is None):
        yield PathProblem(path=("source",), message="a source of type sql needs exactly one of table and query")
    if isinstance(query, str) and (message := query_problem(query)):
        yield PathProblem(path=("source", "query"), message=message, at_value=True)
    if isinstance(condition, str) and (message := condition_problem(condition)):
        yield PathProblem(path=("source", "filter"), message=message, at_value=True)


def _columns_without_a_header(source: Raw) -> Iterator[PathProblem]:
    """A sheet without a row of names: only the definition says what its columns are."""
    header = source.get("header", not source.get("header_rows_to_ignore"))
    if header is False and own_columns(source):
        yield PathProblem(path=("source",), message="columns are missing: without a header, only they name the columns")


def _environment(source: Raw) -> Iterator[PathProblem]:
    if source.get("connection") is None:
        for key, message in environment_problems(source, without=NO_ENVIRONMENT):
            yield PathProblem(path=("source", key), message=message)


def _one_query(source: Raw) -> Iterator[PathProblem]:
    """A table with or without a filter, a view of a table, or FetchXML."""
    fetch, view = source.get("fetch_xml") is not None, source.get("view") is not None
    if not fetch and source.get("entity") is None:
        message = "this key is missing: write entity with the name of a table, or fetch_xml"
        yield PathProblem(path=("source", "entity"), message=message)
    for key in ("entity", "view", "filter"):
        if fetch and source.get(key) is not None:
            message = f"fetch_xml is the whole query: remove {key}"
            yield PathProblem(path=("source", key), message=message)
    if view and not fetch and source.get("filter") is not None:
        message = "a view has its own conditions: remove filter, or use entity and filter without view"
        yield PathProblem(path=("source", "filter"), message=message)


_OF_KIND: Final[Mapping[str, tuple[Callable[[Raw], Iterator[PathProblem]], ...]]] = {
    "dynamics": (_environment, _one_query),
    "events": (_paths_have_aliases,),
    "excel": (_columns_without_a_header,),
    "json": (_paths_have_aliases, _paths_can_be_read),
    "rest": (_paths_have_aliases, _paths_can_be_read, rest_problems),
    "fixed_width": (_places_in_the_line,),
    "sql": (_one_statement,),
    "parquet": (_paths_have_aliases, _paths_name_fields),
}
