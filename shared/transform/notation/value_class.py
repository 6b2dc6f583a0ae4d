"""What messages say of a value of a row: its class, and never the value itself, because messages are kept and shown."""

from __future__ import annotations

__all__ = ["value_class"]

_GUID = r"'^\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?$'"


def value_class(text: str, *, of_ids: str = "") -> str:
    """SQL of the class of a value; it follows the words `; the value is `, as `shared.visible.ABOUT_VALUES` expects.

    Args:
        text: SQL of the value as a text; NULL where it could not become one.
        of_ids: What is added about a value that looks like the id of a record.
    """
    return f"""CASE
    WHEN {text} IS NULL THEN 'of another type than the column'
    WHEN regexp_matches({text}, {_GUID}) THEN 'an id{of_ids}'
    WHEN regexp_matches({text}, '^[+-]?[0-9]+([.][0-9]+)?$') THEN concat('a number of ', length({text}), ' characters')
    WHEN regexp_matches({text}, '^[^@ ]+@[^@ ]+$') THEN 'an e-mail address'
    ELSE concat('a text of ', length({text}), ' characters') END"""
