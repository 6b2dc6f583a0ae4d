"""FetchXML, the queries of Dataverse as XML: read with bounds, before anything of it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["fetch_text", "limit_rows", "read_fetch"]

_LONGEST: Final = 1_000_000  # characters; a URL takes 32,768
_DEEPEST: Final = 50  # elements in elements; the service allows 15 joins


def read_fetch(text: str) -> Element:
    """Read a query.

    Args:
        text: `<fetch>` with one `<entity name="…">`.

    Raises:
        ValueError: It is something else; the message says what, and does not repeat the query.
    """
    from xml.etree.ElementTree import ParseError, fromstring  # noqa: PLC0415 - see above

    if len(text) > _LONGEST:
        raise ValueError(f"this FetchXML is longer than {_LONGEST:,} characters")
    if "<!DOCTYPE" in text:
        raise ValueError("FetchXML must not have a DOCTYPE")
    try:
        root = fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities to expand
    except (ParseError, ValueError) as error:
        place = getattr(error, "position", None)
        where = f" (line {place[0]} of the XML, column {place[1] + 1})" if place else ""
        raise ValueError(f"this is not XML{where}") from None
    if root.tag != "fetch" or [each.tag for each in root] != ["entity"] or not root[0].get("name"):
        raise ValueError('FetchXML is <fetch> with one <entity name="…">')
    if _depth(root) > _DEEPEST:
        raise ValueError("this FetchXML is nested too deeply")
    return root


def _depth(root: Element) -> int:
    level, deepest = [root], 0
    while level and deepest <= _DEEPEST:
        deepest += 1
        level = [child for element in level for child in element]
    return deepest


def limit_rows(root: Element, most: int) -> None:
    """Let a query, or a page of it, have so many records at most."""
    name = "count" if root.get("top") is None else "top"
    written = root.get(name, "")
    root.set(name, str(min(most, int(written)) if written.isdecimal() else most))


def fetch_text(root: Element) -> str:
    """A query as text."""
    from xml.etree.ElementTree import tostring  # noqa: PLC0415 - see above

    # The library leaves a carriage return in a text as it is, and reading it gives a line feed.
    return tostring(root, encoding="unicode").replace("\r", "&#13;")
