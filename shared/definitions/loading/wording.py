"""What is said about a value that does not fit its place in a definition, in our words and never in pydantic's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

from shared.definitions.models.base import FORMS, Model
from shared.suggestions import did_you_mean

__all__ = ["close_to", "message_of"]

_MAPPING: Final = "a mapping of keys is required here"
_NUMBER: Final = "a number is required here, as in 90 or 0.5"
_WHOLE: Final = "a whole number is required here, as in 20"
_PLAIN: Final = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": "a list is required here",
    "list_type": "a list is required here",
    "string_type": "text is required here",
    "bool_type": "true or false is required here",
    "bool_parsing": "true or false is required here",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "this number is too large",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "none_required": "this key has no value here; remove it",
}
_LIMITS: Final = {
    "greater_than_equal": "a number of at least {ge} is required here",
    "greater_than": "a number above {gt} is required here",
    "less_than_equal": "a number of at most {le} is required here",
    "less_than": "a number below {lt} is required here",
    "string_too_long": "this text is too long; at most {max_length} characters are allowed here",
    "too_long": "this list is too long; at most {max_length} entries are allowed here",
}
# Words of other systems, and ours for the same. They are suggested where ours is one of those that are allowed.
_OTHER_WORDS: Final = {
    **dict.fromkeys(("string", "str", "varchar", "nvarchar", "char", "guid", "uuid"), "text"),
    **dict.fromkeys(("integer", "int", "decimal", "float", "double", "money", "currency", "numeric"), "number"),
    **dict.fromkeys(("datetime", "timestamp", "time"), "date"),
    **dict.fromkeys(("boolean", "bit"), "bool"),
    **dict.fromkeys(("csv", "tsv", "txt", "text", "flat", "flatfile"), "delimited"),
    **dict.fromkeys(("xlsx", "xls"), "excel"),
    **dict.fromkeys(("fixed", "fixedwidth"), "fixed_width"),
    **dict.fromkeys(("jsonl", "ndjson"), "json"),
    **dict.fromkeys(("remove", "erase"), "delete"),
    **dict.fromkeys(("create", "add"), "insert"),
    **dict.fromkeys(("modify", "change", "upsert"), "update"),
    **dict.fromkeys(("skip", "nothing", "none", "no", "off", "false"), "ignore"),
    **dict.fromkeys(("event_hubs", "eventhub", "eventhubs"), "event_hub"),
    **dict.fromkeys(("cloud_events", "cloudevent"), "cloudevents"),
}


def close_to(word: object, known: Collection[str]) -> str:
    """A suggestion of similar names, or all of them; the word itself is not repeated."""
    names = sorted({*known})
    there_are = f"there are: {', '.join(names)}" if names else "there are none"
    return _suggested(str(word), names) or there_are


def _suggested(word: str, names: Collection[str], before: str = "") -> str:
    other = _OTHER_WORDS.get(word.lower().strip())
    return f"{before}did you mean {other}?" if other in names else did_you_mean(word, names, before=before)


def message_of(error: ErrorDetails, value: object, model: type[Model] | None = None) -> str:
    """What is wrong with a value, and what is right.

    Args:
        error: What pydantic found.
        value: The value that it found it in.
        model: The model that is read there, for the description of a key that is missing.
    """
    context: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    match kind:
        case "missing":
            return f"this key is missing{_described(model, str(error['loc'][-1]))}"
        case "union_tag_not_found":
            return "this key is missing; it says which kind this is, and which other keys are allowed"
        case "string_too_short":
            return "this text is empty; write a value, or remove the key"
        case "too_short":
            least = context.get("min_length", 1)
            return "this is empty; write at least one entry" if least == 1 else f"at least {least} entries are needed"
        case "union_tag_invalid":
            known = [tag.strip("'") for tag in str(context["expected_tags"]).split(", ")]
            return f"unknown type; {close_to(value.get('type') if isinstance(value, dict) else value, known)}"
        case "literal_error" | "enum":
            return _one_of(str(context["expected"]), value)
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch":
            return FORMS.get(context["pattern"], f"this does not have the form {context['pattern']}")
    if kind in _LIMITS:
        return _LIMITS[kind].format(**context)
    return _PLAIN.get(kind, "this value cannot be used here") + _found(value, kind)


def _described(model: type[Model] | None, key: str) -> str:
    """The first sentence of a key's description."""
    fields = model.model_fields.items() if model is not None else ()
    said = next((info.description for name, info in fields if (info.alias or name) == key), None)
    if not said:
        return ""
    first = said.partition(". ")[0].rstrip(".").replace("`", "")
    # A word in capitals stays as it is: URL, SQL.
    return f" ({first if first[1:2].isupper() else first[:1].lower() + first[1:]})"


def _one_of(expected: str, value: object) -> str:
    words = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    ways = expected if len(words) == 1 else f"one of {expected}"
    return f"{ways} is required here{_suggested(str(value), words, before='; ')}"


def _found(value: object, kind: str) -> str:
    match value:
        case _ if not kind.endswith("_type"):
            return ""
        case None:
            return ", but it is empty"
        case dict():
            return ", but this is a mapping"
        case list():
            return ", but this is a list"
        case str():
            return ", but this is text" + ("; write it in square brackets: [a, b]" if kind == "tuple_type" else "")
    return "; put it in quotes" if kind == "string_type" else ""
