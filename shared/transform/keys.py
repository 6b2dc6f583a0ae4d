"""Keys as they are compared: by the service's collation, by that with accents, or exactly."""

from __future__ import annotations

from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType
from shared.transform.blanks import without_trailing_spaces

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
    bare = without_trailing_spaces(sql)
    match key_match:
        case KeyMatch.EXACT:
            return sql
        case KeyMatch.ACCENT_SENSITIVE:
            return _folded(bare, f"nfc_normalize({bare})")
        case KeyMatch.SERVICE:
            return _folded(bare, f"strip_accents({bare})")


def _folded(plain: str, accents: str) -> str:
    """Fold case; sharp s and final sigma are the two letters whose lower case is not unique.

    A text with as many bytes as characters is plain ASCII, and most keys are.
    """
    beyond = f"replace(replace(lower({accents}), 'ß', 'ss'), 'ς', 'σ')"
    return f"nullif(CASE WHEN strlen({plain}) = length({plain}) THEN lower({plain}) ELSE {beyond} END, '')"
