"""The nodes of a YAML text, by the parser in C where PyYAML has it: it takes an eighth of the time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.composer import Composer
from yaml.error import YAMLError
from yaml.nodes import Node
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

__all__ = ["Nodes", "TooManyNodesError", "nodes_of"]

_TAKEN_OTHERWISE: Final = re.compile("[\t?\x85\u2028\u2029\ufeff]|:\\s*[,}\\]]")
"""What the parser in C takes where the other one refuses it, or whose place it counts in another way."""


class TooManyNodesError(Exception):
    """More values than a definition may have, written out or named by aliases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """What a text consists of.

    Attributes:
        root: None for an empty text.
        has_anchors: Whether there is an anchor or an alias.
    """

    root: Node | None
    has_anchors: bool


class _Nodes(Composer, BaseResolver):
    """Makes nodes of what a parser gives; no implicit tags, no objects."""

    has_anchors = False
    peek_event: Callable[[], Any]

    def __init__(self, most: int) -> None:
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._left = most

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose one node, unless the text has too many: each needs time and memory before it is checked."""
        self._left -= 1
        if self._left < 0:
            raise TooManyNodesError
        self.has_anchors = self.has_anchors or self.peek_event().anchor is not None
        return super().compose_node(parent, index)


class _Slow(_Nodes, Reader, Scanner, Parser):
    """PyYAML's own parser. What is wrong with a text is told in its words."""

    def __init__(self, text: str, most: int) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        _Nodes.__init__(self, most)


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs do not say that it is there

    class _Fast(_Nodes, CParser):
        """The parser of libyaml."""

        def __init__(self, text: str, most: int) -> None:
            CParser.__init__(self, text)
            _Nodes.__init__(self, most)

        def compose_scalar_node(self, anchor: Any) -> Any:
            """Compose a scalar; one without quotes has no style, as PyYAML has it."""
            node = super().compose_scalar_node(anchor)
            node.style = node.style or None
            return node


def nodes_of(text: str, *, most: int) -> Nodes:
    """The nodes of a text with their places.

    Args:
        text: The text, without a byte order mark.
        most: How many nodes it may have.

    Raises:
        YAMLError: It is not YAML.
        TooManyNodesError: It has more.
    """
    if yaml.__with_libyaml__ and not _TAKEN_OTHERWISE.search(text):
        try:
            return _made(_Fast(text, most))
        except (YAMLError, UnicodeError):
            pass  # the other one says what is wrong, or takes it
    return _made(_Slow(text, most))


def _made(composer: _Nodes) -> Nodes:
    return Nodes(root=composer.get_single_node(), has_anchors=composer.has_anchors)
