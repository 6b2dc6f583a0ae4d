"""Closing records: the actions that set a closing state, and what is to be done if one is refused. Pure.

An action is sent in a `$batch`, one operation for each record. If it is refused, the record's state is read once: a
record that has the wanted state and status is settled, as after an answer that was lost. One that is closed in another
way is reopened first.
"""

from __future__ import annotations

import json
from dataclasses import replace

from shared.dataverse.changes import Applied, Change
from shared.dataverse.http.answers import parsed
from shared.dataverse.write.bulk import members
from shared.entities import AttributeType, EntityMetadata
from shared.http.transport import Response
from shared.state_rules import CLOSE, OPEN, Closing, rules_of

__all__ = ["action_of", "carrying", "checked", "closes", "marked_read", "state_query", "times_read"]

_MARK = f'"{CLOSE}":'
_READ = '"@read":'  # one for each time that the record was read because its change was refused
_STATUS_OF_STATE = -1  # the action then takes the state's default status (Microsoft: CloseIncident)


def closes(payload: str) -> bool:
    """Whether an action sets what the payload asks for."""
    return _MARK in payload


def times_read(change: Change) -> int:
    """How often the record was read because this change was refused: a bound, so that no change goes round."""
    return change.payload.count(_READ)


def marked_read(change: Change) -> Change:
    """A change, whose payload is not sent as it is, after its record was read once more."""
    held = change.payload.strip()[1:-1]
    return replace(change, payload=f"{{{held}{',' if held else ''}{_READ}true}}")


def action_of(change: Change, entity: EntityMetadata) -> tuple[str, bytes]:
    """The name of the action that closes a record, and the action's parameters."""
    state, status, closing = _wanted(change, entity)
    if status is None:
        found = entity.default_status(state)
        status = _STATUS_OF_STATE if found is None else found
    label = next(
        (o.labels[0] for o in entity.options(AttributeType.STATUS) if o.value == status and o.labels), "Closed"
    )
    named = [f'"subject":{json.dumps(label)}', f'"{closing.record}@odata.bind":"/{entity.entity_set}({change.id})"']
    activity = f"{{{','.join((*named, *_carried(dict(members(change.payload))[CLOSE])))}}}"
    return closing.action, f'{{"Status":{status},"{closing.activity}":{activity}}}'.encode()


def carrying(payload: str, more: str) -> str:
    """A payload whose closing carries the values of another mark besides its own; unchanged if it closes nothing.

    Args:
        payload: The JSON object text of a second request; may be empty.
        more: The member with the other mark; empty for none.
    """
    if not more or not closes(payload):
        return payload
    parts = dict(members(payload))
    parts[CLOSE] = f"{_MARK}{{{','.join((*_carried(parts[CLOSE]), *_carried(more)))}}}"
    return f"{{{','.join(parts.values())}}}"


def _carried(mark: str) -> tuple[str, ...]:
    """The texts of the values that an action carries, of the member that marks a closing."""
    return tuple(text for _, text in members(mark[len(_MARK) :]))


def state_query(change: Change, entity: EntityMetadata) -> str:
    """The path that reads state and status of a record."""
    return f"{entity.entity_set}({change.id})?$select={','.join(_columns(entity))}"


def checked(change: Change, answer: Response, entity: EntityMetadata) -> Applied | Change:
    """What is left to do for a record whose closing was refused: nothing, or a change.

    Raises:
        UnexpectedAnswer: The answer is not one that Dataverse gives.
    """
    found = parsed(answer.body, "a look-up")
    state_column, status_column = _columns(entity)
    state, status = found.member(state_column).whole(), found.member(status_column).whole()
    wanted_state, wanted_status, _ = _wanted(change, entity)
    if state == wanted_state:
        if wanted_status in {None, status}:
            return Applied(number=change.number, id=change.id, created=False)
        return replace(change, payload=json.dumps({status_column: wanted_status}))
    again = marked_read(change)
    if state == OPEN:
        return again
    opened = {state_column: OPEN, status_column: entity.default_status(OPEN)}
    known = {name: value for name, value in opened.items() if value is not None}
    return replace(change, payload=json.dumps(known), later=again.payload)


def _columns(entity: EntityMetadata) -> tuple[str, str]:
    named = {column.type: column.name for column in entity.attributes.values()}
    return named[AttributeType.STATE], named[AttributeType.STATUS]


def _wanted(change: Change, entity: EntityMetadata) -> tuple[int, int | None, Closing]:
    state_column, status_column = _columns(entity)
    sent, rules = json.loads(change.payload), rules_of(entity.logical_name)
    state: int = sent[state_column]
    if rules is None:
        raise ValueError(f"no action closes records of {entity.logical_name}")
    return state, sent.get(status_column), rules.closings[state]
