"""Keys as they are compared: by the service's collation, by that with accents, or exactly.

The collations of Dataverse's databases disregard kana and width (Microsoft, "Collation and Unicode support": they would
say `_KS` and `_WS`). So full width and half width are folded here, no-break and ideographic spaces, superscripts,
ligatures, hiragana and katakana. Too much folding would treat two records as one, so doubtful characters stay
different:
where the service holds more keys equal, it refuses a key as taken, and the record is adopted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType
from shared.transform.notation.blanks import without_trailing_spaces
from shared.workspace import literal

__all__ = ["can_change", "folded", "normalise_key"]

_WIDTHS: Final = frozenset({"<wide>", "<narrow>"})
_VARIANTS: Final = frozenset({"<noBreak>", "<super>", "<sub>"})
_SINGLE: Final = 2  # parts of a decomposition into one character: the kind, the character
_TO_KATAKANA: Final = 0x60  # katakana have the order of hiragana, with this offset


def _plain(kinds: frozenset[str], *places: Iterable[int]) -> dict[str, str]:
    """Each character that Unicode calls a variant of one other, in lower case as the keys are by then."""
    parts = ((chr(place), unicodedata.decomposition(chr(place)).split()) for place in chain(*places))
    return {
        char: chr(int(found[1], 16)).lower()
        for char, found in parts
        if len(found) == _SINGLE and found[0] in kinds and char == char.lower()
    }


# Several small tables: the time that DuckDB's translate takes for a text grows faster than its table.
_TABLES: Final[tuple[Mapping[str, str], ...]] = (
    _plain(_VARIANTS, range(0xA0, 0x100), range(0x2000, 0x20A0)) | {"\u3000": " "},
    _plain(_WIDTHS, range(0xFF01, 0xFF61), range(0xFFE0, 0xFFEF)),
    _plain(_WIDTHS, range(0xFF61, 0xFFE0)),
    {chr(place): chr(place + _TO_KATAKANA) for place in (*range(0x3041, 0x3097), 0x309D, 0x309E)},
)
_EXPANSIONS: Final[Mapping[str, str]] = {
    "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st",
}  # fmt: skip
_FOLDED: Final = str.maketrans({char: plain for table in (*_TABLES, _EXPANSIONS) for char, plain in table.items()})
_SPACES_AND_SUPERSCRIPTS: Final = str.maketrans(dict(_TABLES[0]))

# Where any of these can be: the tables are for the few texts that need them.
_FOLDABLE: Final = (
    r"[\x{00A0}-\x{00BA}\x{2007}\x{2011}\x{202F}\x{2070}-\x{209C}"
    r"\x{3000}\x{3041}-\x{309E}\x{FB00}-\x{FB06}\x{FF01}-\x{FFEE}]"
)
# Vowel signs and the like, in which words of some scripts differ alone: DuckDB's strip_accents takes them for accents.
# Ranges that hold a mark without a combining class; the letters between them are harmless.
_SIGNS: Final = (
    r"[\x{034F}\x{0488}\x{0489}\x{07A6}-\x{07B0}\x{0900}-\x{109D}\x{1712}-\x{1C36}\x{1CE1}-\x{1CF7}\x{20DD}-\x{20E4}"
    r"\x{A670}-\x{A672}\x{A802}-\x{ABEC}\x{FE00}-\x{FE0F}\x{10A01}-\x{1DAAF}\x{E0100}-\x{E01EF}]"
)
_HAS_SIGNS: Final = re.compile(re.sub(r"\\x\{(\w+)\}", lambda found: re.escape(chr(int(found[1], 16))), _SIGNS))


def can_change(keys: Iterable[AttributeMetadata], id_column: str) -> bool:
    """Whether a record can get another sync key: no column of it is the id, or one that nobody can change."""
    return all(attribute.updatable and attribute.name != id_column for attribute in keys)


def normalise_key(attribute: AttributeMetadata, sql: str, key_match: KeyMatch) -> str:
    """Return the SQL of a value's form under which equal keys are identical.

    Dataverse compares text without regard to case, width and kana, in most languages without regard to accents, and SQL
    Server ignores spaces at the end. A text of spaces alone is therefore an empty key, which is null. Other types
    compare as they are.

    Args:
        attribute: The key's column.
        sql: The typed value.
        key_match: How keys of this sync are compared.
    """
    if key_match is KeyMatch.EXACT or attribute.type not in {AttributeType.STRING, AttributeType.MEMO}:
        return sql
    small = f"lower({sql})"
    # A text with as many bytes as characters is plain ASCII, and most keys are.
    beyond = f"""CASE
      {_readable(sql, key_match)}
      WHEN regexp_matches({sql}, {literal(_FOLDABLE)}) THEN {_bare(_widened(small), key_match)}
      ELSE {_bare(small, key_match)} END"""
    return f"""nullif(CASE
    WHEN strlen({sql}) = length({sql}) THEN lower({without_trailing_spaces(sql)})
    ELSE {_ended(beyond)} END, '')"""


def _readable(sql: str, key_match: KeyMatch) -> str:
    """The branch of texts from which accents must not be taken; what is folded in them are spaces and superscripts."""
    if key_match is not KeyMatch.SERVICE:
        return ""
    plain = f"nfc_normalize({_translated(f'lower({sql})', _TABLES[0])})"
    return f"WHEN regexp_matches({sql}, {literal(_SIGNS)}) THEN {plain}"


def _translated(sql: str, table: Mapping[str, str]) -> str:
    return f"translate({sql}, {literal(''.join(table))}, {literal(''.join(table.values()))})"


def _widened(sql: str) -> str:
    for table in _TABLES:
        sql = _translated(sql, table)
    for char, several in _EXPANSIONS.items():
        sql = f"replace({sql}, {literal(char)}, {literal(several)})"
    return sql


def _bare(sql: str, key_match: KeyMatch) -> str:
    return f"strip_accents({sql})" if key_match is KeyMatch.SERVICE else f"nfc_normalize({sql})"


def _ended(sql: str) -> str:
    """Sharp s and final sigma are two letters whose lower case is not one; spaces at the end do not count."""
    return f"rtrim(replace(replace({sql}, 'ß', 'ss'), 'ς', 'σ'), ' ')"


def folded(text: str, key_match: KeyMatch) -> str:
    """The form that `normalise_key` gives to a text, for the few keys that come one by one."""
    if key_match is KeyMatch.EXACT:
        return text
    if text.isascii():
        return text.lower().rstrip(" ")
    plain = text.replace("İ", "i").lower()
    if key_match is KeyMatch.SERVICE and _HAS_SIGNS.search(text):
        plain = unicodedata.normalize("NFC", plain.translate(_SPACES_AND_SUPERSCRIPTS))
    elif key_match is KeyMatch.SERVICE:
        letters = unicodedata.normalize("NFD", plain.translate(_FOLDED))
        bare = "".join(letter for letter in letters if not unicodedata.category(letter).startswith("M"))
        plain = unicodedata.normalize("NFC", bare)
    else:
        plain = unicodedata.normalize("NFC", plain.translate(_FOLDED))
    return plain.replace("ß", "ss").replace("ς", "σ").rstrip(" ")
