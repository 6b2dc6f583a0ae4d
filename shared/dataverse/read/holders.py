"""The records that have a key: each key is a separate query, so that the service's own comparison decides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.batch_requests import BatchPart, decoded, encoded
from shared.dataverse.http.keys import equals
from shared.dataverse.http.service import Call, Service
from shared.dataverse.http.service_errors import FIRST_REFUSAL, in_trouble, refusal, trouble, troubled_part
from shared.dataverse.read.reader import members, preference, selected, typed_members
from shared.entities import EntityMetadata
from shared.errors import RetryLater
from shared.http.retry import FailedTry, Trouble, retry_after
from shared.http.transport import Response
from shared.transform.targets import TargetColumn
from shared.workspace import NewTable, Table, Workspace, json_rows, quoted

__all__ = ["KEYS_A_BATCH", "read_holders"]

KEYS_A_BATCH: Final = 100  # a tenth of what a $batch may hold: it is answered well within the time that a request has
LONGEST_URL: Final = 60_000  # characters; 65,536 are possible inside a $batch
MOST_HOLDERS: Final = 2  # tells one from several
_PLAIN: Final = "/=$,()'@:"


def read_holders(
    workspace: Workspace,
    service: Service,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    keys: Iterable[tuple[int, Mapping[str, Any]]],
    condition: str | None,
) -> None:
    """Make the table `holders`: `current`'s columns, where `_seq` is the number of the change whose key the record has.

    A key has at most two rows. A key that the service does not want to be asked for has none.

    Raises:
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    workspace.create(NewTable(name=Table.HOLDERS, query="SELECT * FROM current LIMIT 0"))
    statement, rest = _insert_statement(entity, layout), iter(keys)
    while taken := list(islice(rest, KEYS_A_BATCH)):
        asked = {number: _path(service, entity, layout, values, condition) for number, values in taken}
        sent = {number: path for number, path in asked.items() if len(path) <= LONGEST_URL}
        records = list(_records(_answers(service, entity, sent, preference(layout))))
        if records:
            workspace.execute(statement, [json.dumps(records, ensure_ascii=False, default=_plain)])


def _path(
    service: Service,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    values: Mapping[str, Any],
    condition: str | None,
) -> str:
    wanted = f"({equals(entity, values)})" + (f" and ({condition})" if condition else "")
    return (
        f"{urlsplit(service.connection.base).path}{entity.entity_set}?$select={','.join(selected(entity, layout))}"
        f"&$top={MOST_HOLDERS}&$filter={quote(wanted, safe=_PLAIN)}"
    )


def _records(answers: Mapping[int, Response]) -> Iterator[dict[str, Any]]:
    for number, answer in answers.items():
        if answer.status < FIRST_REFUSAL:
            for record in _page(answer):
                yield {**record, "_seq": str(number)}


def _page(answer: Response) -> list[Mapping[str, Any]]:
    return [dict(record.members()) for record in parsed(answer.body, "a look-up", exact=True).rows()]


def _plain(number: object) -> str:
    """A number as text: a Python float would lose digits."""
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def _answers(service: Service, entity: EntityMetadata, paths: Mapping[int, str], prefer: str) -> Mapping[int, Response]:
    """The answer to each query; a query that met trouble is asked again."""
    answers: dict[int, Response] = {}
    started, tries = service.clock.monotonic(), Counter[Trouble]()
    while missing := {number: path for number, path in paths.items() if number not in answers}:
        whole = _answered(service, entity, missing, prefer)
        answers |= _final_answers(missing, whole)
        if len(answers) < len(paths):
            _wait(service, tries, whole, started)
    return answers


def _answered(service: Service, entity: EntityMetadata, paths: Mapping[int, str], prefer: str) -> Response:
    headers = {"Prefer": prefer} if prefer else {}
    boundary = f"batch_{uuid4()}"
    call = Call(
        method="POST",
        path="$batch",
        headers={
            "Content-Type": f'multipart/mixed; boundary="{boundary}"',
            "Prefer": "odata.continue-on-error",
        },
        body=encoded([BatchPart(method="GET", path=path, headers=headers) for path in paths.values()], boundary),
        table=entity.logical_name,
        doing="read",
    )
    return service.fetch(call)


def _final_answers(paths: Mapping[int, str], whole: Response) -> Mapping[int, Response]:
    try:
        answers = decoded(whole)
    except ValueError:
        return {}  # incomplete: treated as no answer
    return {number: answer for number, answer in zip(paths, answers, strict=False) if not in_trouble(answer)}


def _wait(service: Service, tries: Counter[Trouble], whole: Response, started: float) -> None:
    """Wait for as long as the answers of the queries ask to.

    Raises:
        RetryLater: It was asked too often, or the wait is too long.
    """
    now = service.clock.now()
    told = troubled_part(whole, Trouble.THROTTLED, now)
    refused = refusal(told)
    met = trouble(told, refused) or Trouble.UNAVAILABLE
    tries[met] += 1
    asked, spent = retry_after(told.headers, now), service.clock.monotonic() - started
    if not service.waited(FailedTry(trouble=met, attempt=tries[met], repeatable=True, asked=asked, spent=spent)):
        reason = "its answer was incomplete" if told is whole else str(refused)
        raise RetryLater(
            f"Dataverse did not return the record that has a key, in {tries.total()} tries: {reason}",
            retry_after=asked or 30,
        )


def _insert_statement(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> str:
    values = [("_seq", "CAST(r._seq AS BIGINT)"), *typed_members(entity, layout)]
    form = dict.fromkeys(("_seq", *members(entity, layout)), "VARCHAR")
    return (
        f"INSERT INTO holders ({', '.join(quoted(name) for name, _ in values)})\n"
        f"SELECT {', '.join(sql for _, sql in values)}\n"
        f"FROM {json_rows(form, parameter='$1', flat=True)} AS r"
    )
