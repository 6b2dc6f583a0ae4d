"""Keys as they are compared: by the service's collation, by that with accents, or exactly."""

from __future__ import annotations

from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType

__all__ = ["normalise_key"]


def normalise_key(attribute: AttributeMetadata, sql: str, key_match: KeyMatch) -> str:
    """Return the SQL of a value's form under which equal keys are identical.

    Dataverse compares text without regard to case, in most languages without regard to accents, and SQL Server ignores
    spaces at the end. A text of spaces alone is therefore an empty key, which is null. Other types compare as they are.

    Args:
        attribute: The key's column.
        sql: The typed value.
        key_match: How keys of this sync are compared.
    """
    if attribute.type not in {AttributeType.STRING, AttributeType.MEMO}:
        return sql
    match key_match:
        case KeyMatch.EXACT:
            return sql
        case KeyMatch.ACCENT_SENSITIVE:
            return f"nullif({_folded(f'nfc_normalize({sql})')}, '')"
        case KeyMatch.SERVICE:
            return f"nullif({_folded(f'strip_accents({sql})')}, '')"


def _folded(sql: str) -> str:
    """Fold case and trailing spaces; sharp s and final sigma are the two letters whose lower case is not unique."""
    return f"rtrim(replace(replace(lower({sql}), 'ß', 'ss'), 'ς', 'σ'), ' ')"
