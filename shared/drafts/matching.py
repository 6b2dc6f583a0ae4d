"""Which column of a table a column of a source is probably meant for: by their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.suggestions import closest

__all__ = ["Match", "identifies", "matched", "simple"]

_WORDS: Final = re.compile(r"[A-Za-z]+|[0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PREFIX: Final = re.compile(r"^[a-z][a-z0-9]{1,7}_(?=[a-z])")
_SYNONYMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("no", "nr", "num", "nbr", "number"), "number"),
    **dict.fromkeys(("tel", "telephone", "phone"), "phone"),
    **dict.fromkeys(("mail", "email"), "email"),
    **dict.fromkeys(("zip", "postcode", "postal", "postalcode"), "postal"),
    **dict.fromkeys(("url", "web", "website", "homepage"), "website"),
    **dict.fromkeys(("desc", "description"), "description"),
}
_IDENTIFYING: Final = frozenset({"number", "id", "code", "key", "sku", "guid", "identifier", "reference"})
_UNMAPPABLE: Final = frozenset(
    {
        *(AttributeType.IMAGE, AttributeType.FILE, AttributeType.VIRTUAL, AttributeType.PARTY_LIST),
        *(AttributeType.STATE, AttributeType.STATUS, AttributeType.OWNER, AttributeType.BIGINT),
    }
)
# Columns with a meaning of their own, which are meant only where they are named.
_ONLY_BY_NAME: Final = frozenset(
    {
        *("overriddencreatedon", "importsequencenumber", "timezoneruleversionnumber", "utcconversiontimezonecode"),
        *("transactioncurrencyid", "exchangerate"),
    }
)
_SIMILAR: Final = 0.87  # of 1: a slip of the hand, or another ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A column of the table for a column of the source.

    Attributes:
        reason: Why it is not certain; empty where the names are the same.
    """

    attribute: AttributeMetadata
    reason: str = ""


def simple(name: str) -> str:
    """A name without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def _words(name: str) -> tuple[str, ...]:
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    found = (word.lower() for word in _WORDS.findall(_CAMEL.sub(" ", plain.replace("_", " "))))
    return tuple(_SYNONYMS.get(word, word) for word in found)


def identifies(name: str) -> bool:
    """Whether a name says that its values identify something: `Customer No`, `sku`."""
    return bool(_IDENTIFYING.intersection(_words(name)))


def matched(names: Sequence[str], entity: EntityMetadata) -> dict[str, Match]:
    """The matches of the columns of a source, each column of the table once; the surest ones first.

    Args:
        names: What the columns of the source are called.
        entity: The table.
    """
    found: dict[str, Match] = {}
    taken: set[str] = set()
    mappable = [*_mappable(entity)]
    for rule in (
        _by_logical_name,
        _by_display_name,
        _without_prefix,
        _by_words,
        _by_reference,
        _by_key,
        _by_similarity,
    ):
        for name in names:
            if name in found or not simple(name):
                continue
            free = [attribute for attribute in mappable if attribute.name not in taken]
            match = rule(name, free, entity)
            if match is not None:
                found[name] = match
                taken.add(match.attribute.name)
    return found


def _mappable(entity: EntityMetadata) -> Iterator[AttributeMetadata]:
    for attribute in entity.attributes.values():
        writable = (attribute.creatable or attribute.updatable) and not attribute.computed
        own_id = attribute.name == entity.primary_id
        if (writable or own_id) and attribute.type not in _UNMAPPABLE and attribute.readable:
            yield attribute


def _by_logical_name(name: str, free: Sequence[AttributeMetadata], entity: EntityMetadata) -> Match | None:
    own = set(_words(entity.logical_name))
    found = [each for each in free if simple(each.name) == simple(name)]
    shown = found[0].display_name if found else ""
    same = not shown or simple(shown) == simple(name) or set(_words(shown)) - own == set(_words(name))
    return _only(found, "" if same else f"people see it as {shown}")


def _by_display_name(name: str, free: Sequence[AttributeMetadata], _: EntityMetadata) -> Match | None:
    return _only([each for each in free if each.display_name and simple(each.display_name) == simple(name)])


def _only(found: Sequence[AttributeMetadata], reason: str = "") -> Match | None:
    return Match(attribute=found[0], reason=reason) if len(found) == 1 else None


def _without_prefix(name: str, free: Sequence[AttributeMetadata], _: EntityMetadata) -> Match | None:
    """A custom column without the prefix of its publisher."""
    found = [each for each in free if _PREFIX.match(each.name) and simple(_PREFIX.sub("", each.name)) == simple(name)]
    return _only(found, "the same name with the prefix of a publisher")


def _by_words(name: str, free: Sequence[AttributeMetadata], entity: EntityMetadata) -> Match | None:
    """The words of the name, and few others: `City` is in `Address 1: City`, `Email` in `Email Address 1`."""
    words = set(_words(name)) - {*_words(entity.logical_name)} or set(_words(name))
    free = [each for each in free if each.name not in _ONLY_BY_NAME]
    best: list[tuple[int, bool, str, AttributeMetadata]] = []
    for each in free:
        own = set(_words(each.display_name or each.name)) - {*_words(entity.logical_name)}
        if words and words <= own and len(own - words) <= 2:  # noqa: PLR2004 - "Address 1"
            best.append((len(own - words), not each.name.endswith("1"), each.name, each))
    if not best:
        return None
    return Match(attribute=min(best, key=lambda found: found[:3])[3], reason="its name has these words")


def _by_reference(name: str, free: Sequence[AttributeMetadata], entity: EntityMetadata) -> Match | None:
    """A lookup for a column that identifies what it refers to: `Parent No` for `Parent Account`."""
    words = set(_words(name)) - _IDENTIFYING
    own = {*_words(entity.logical_name)}
    found = [each for each in free if each.refers and set(_words(each.display_name or each.name)) - own == words - own]
    return _only(found, "its name has these words") if words and identifies(name) else None


def _by_key(name: str, free: Sequence[AttributeMetadata], entity: EntityMetadata) -> Match | None:
    """A column that identifies something, for the text column of the table's only alternate key of one column."""
    if not identifies(name) or set(_words(name)) & {"parent", "master", "main"}:
        return None
    keyed = {key.columns[0] for key in entity.keys if key.active and len(key.columns) == 1}
    found = [each for each in free if each.name in keyed and each.type is AttributeType.STRING]
    return _only(found, "it identifies something, and so does the alternate key of the table")


def _by_similarity(name: str, free: Sequence[AttributeMetadata], _: EntityMetadata) -> Match | None:
    known = {simple(each.name): each for each in free} | {simple(each.display_name): each for each in free}
    for similar in closest(simple(name), known, cutoff=_SIMILAR):
        return Match(attribute=known[similar], reason="its name is similar")
    return None
