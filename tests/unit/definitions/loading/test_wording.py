"""What is said about a value that does not fit: always in our words."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from pydantic_core import ErrorDetails, core_schema
from pydantic_core._pydantic_core import list_all_errors

from shared.definitions.loading.wording import close_to, message_of
from shared.definitions.models import SyncDefinition

_EXAMPLES: dict[str, Any] = {each["type"]: each for each in list_all_errors()}


def error(kind: str, **context: Any) -> ErrorDetails:
    example: dict[str, Any] = dict(_EXAMPLES[kind].get("example_context") or {})
    said = str(_EXAMPLES[kind]["example_message_python"])
    return ErrorDetails(type=kind, loc=("key",), msg=said, input=None, ctx={**example, **context})


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
@pytest.mark.parametrize("value", ["text", 5, None, [], {}])
def test_no_message_of_pydantic_reaches_a_user(kind: str, value: object) -> None:
    """Whatever kind of mistake pydantic finds, also one that no model of ours can have today."""
    if kind not in _EXAMPLES:
        pytest.skip("pydantic lists no example of this kind")
    details = error(kind)
    said = message_of(details, value)
    assert said
    assert details["msg"].lower() not in said.lower()
    assert not re.search(r"\b(input|parse|instance|unable|valid)\b", said.lower())


def test_a_missing_key_is_described() -> None:
    """The first sentence of its description says what belongs there; a word in capitals stays as it is."""
    details = ErrorDetails(type="missing", loc=("source",), msg="Field required", input=None)
    assert message_of(details, {}, SyncDefinition) == "this key is missing (source of the rows)"
    assert message_of(details, {}) == "this key is missing"


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("csv", ("delimited", "json"), "did you mean delimited?"),
        ("Integer", ("text", "number"), "did you mean number?"),
        ("integer", ("json", "parquet"), "there are: json, parquet"),
        ("sync_keys", ("sync_key", "strategy"), "did you mean sync_key?"),
        ("anything", (), "there are none"),
    ],
)
def test_words_of_other_systems_are_understood(word: str, known: tuple[str, ...], meant: str) -> None:
    """A word is suggested only where it is one of those that are allowed."""
    assert close_to(word, known) == meant
