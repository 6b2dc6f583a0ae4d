"""Text in OData, as the filters and key predicates of Dataverse and of Azure Table Storage take it."""

from __future__ import annotations

__all__ = ["odata_text"]


def odata_text(text: str) -> str:
    """Quote a text as an OData literal; not percent-encoded."""
    return "'" + text.replace("'", "''") + "'"
