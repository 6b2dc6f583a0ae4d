"""Source columns and the columns of the table side by side: what fits, what is proposed, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from console.editor.forms.widgets import Kind, Widget
from shared.definitions.loading.yaml_loader import Path
from shared.drafts.matching import Match, matched
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata

__all__ = ["Mappings", "about_column", "mapping_for", "mappings_of"]

_MOST_OPTIONS: Final = 12
_REQUIRED: Final = frozenset({"ApplicationRequired", "SystemRequired"})
_SET_BY_SERVICE: Final = frozenset({AttributeType.OWNER, AttributeType.STATE, AttributeType.STATUS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mapping that may be meant.

    Attributes:
        source: Name of the source column.
        target: The column of the table; None where none has a similar name.
        reason: Why it is not certain; empty where the names are the same.
    """

    source: str
    target: AttributeMetadata | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    """What is known of both sides.

    Attributes:
        sources: Names of the source columns.
        entity: The table; None where the environment was not asked.
        open: Source columns that no mapping uses, each with a proposal.
        missing: Columns that need a value and have no mapping.
    """

    sources: Sequence[str] = ()
    entity: EntityMetadata | None = None
    open: Sequence[Proposal] = ()
    missing: Sequence[AttributeMetadata] = ()
    targets: Sequence[tuple[str, str]] = field(default=())

    def annotate(self, widgets: Sequence[Widget]) -> None:
        """Tell the fields of the mapping what is known of their values."""
        everything = [each for one in widgets for each in one.walk()]
        for widget in everything:
            if widget.key == "connection":
                widget.suggestions = "connections"
            if widget.path == ("destination", "entity"):
                widget.suggestions = "tables"
            if widget.path[:2] != ("destination", "mappings") or len(widget.path) != _FIELD:
                continue
            if widget.key == "source" and widget.kind is not Kind.YAML:
                widget.suggestions = "sources"
            if widget.key == "target":
                widget.suggestions = "targets"
                widget.note = self.about(widget.text)
            if widget.key == "lookup":
                widget.is_wanted = self.refers(everything, widget.path)

    def refers(self, widgets: Sequence[Widget], path: Path) -> bool:
        """Whether the target beside a field refers to other records."""
        targets = [each.text for each in widgets if each.path == (*path[:-1], "target")]
        attribute = self.entity.attributes.get(targets[0]) if self.entity and targets else None
        return attribute is not None and attribute.refers

    def about(self, name: str) -> str:
        """What is known of a column of the table; empty where nothing is."""
        if self.entity is None or not name:
            return ""
        attribute = self.entity.attributes.get(name)
        return about_column(attribute) if attribute else ""


_FIELD: Final = 4  # destination, mappings, number, key


def mappings_of(data: Any, entity: EntityMetadata | None) -> Mappings:
    """Both sides of a definition.

    Args:
        data: The values of its text.
        entity: Its table, if it is known.
    """
    sources = [*_source_columns(data)]
    mapped = [*_items(data, "destination", "mappings")]
    used = {name for each in mapped for name in _sources_of(each)}
    taken = {str(each.get("target")) for each in mapped}
    left = [name for name in sources if name not in used]
    if entity is None:
        return Mappings(sources=sources, open=[Proposal(source=name) for name in left])
    found = {name: match for name, match in matched(sources, entity).items() if match.attribute.name not in taken}
    targets = [(each.name, _shown(each)) for each in entity.attributes.values() if each.creatable or each.updatable]
    return Mappings(
        sources=sources,
        entity=entity,
        open=[_proposal(name, found.get(name)) for name in left],
        missing=[each for each in entity.attributes.values() if _is_missing(each, entity, taken)],
        targets=sorted(targets),
    )


def _proposal(name: str, match: Match | None) -> Proposal:
    return Proposal(source=name, target=match.attribute, reason=match.reason) if match else Proposal(source=name)


def _is_missing(attribute: AttributeMetadata, entity: EntityMetadata, taken: set[str]) -> bool:
    needed = attribute.required in _REQUIRED and attribute.creatable and not attribute.has_default
    own = attribute.name == entity.primary_id or attribute.type in _SET_BY_SERVICE
    return needed and not own and attribute.name not in taken


def mapping_for(proposal: Proposal, related: EntityMetadata | None) -> dict[str, Any]:
    """The mapping of a proposal; a lookup finds its record by the alternate key or the name of the other table.

    Args:
        proposal: Has a target.
        related: The table that the target refers to, if it refers to one.
    """
    target = proposal.target
    made: dict[str, Any] = {"source": proposal.source, "target": target.name if target else ""}
    if target is not None and target.refers and related is not None:
        made["lookup"] = {"entity": related.logical_name, "match": _match_column(related)}
    return made


def _match_column(entity: EntityMetadata) -> str:
    """The column that identifies a record for people: that of an alternate key, else the name."""
    keyed = (key.columns[0] for key in entity.keys if key.active and len(key.columns) == 1)
    return next(keyed, entity.primary_name or entity.primary_id)


def about_column(attribute: AttributeMetadata) -> str:
    """Type, length, options and whether a value is needed, in one line."""
    parts = [attribute.display_name, str(attribute.type)]
    if attribute.max_length is not None:
        parts.append(f"{attribute.max_length:,} characters")
    if attribute.targets:
        parts.append(f"refers to {', '.join(attribute.targets)}")
    if attribute.choices:
        labels = [choice.labels[0] if choice.labels else str(choice.value) for choice in attribute.choices]
        more = "" if len(labels) <= _MOST_OPTIONS else f" and {len(labels) - _MOST_OPTIONS:,} more"
        parts.append(f"{', '.join(labels[:_MOST_OPTIONS])}{more}")
    if attribute.required in _REQUIRED:
        parts.append("required")
    return " · ".join(part for part in parts if part)


def _shown(attribute: AttributeMetadata) -> str:
    needed = ", required" if attribute.required in _REQUIRED else ""
    return f"{attribute.display_name or attribute.name} ({attribute.type}{needed})"


def _source_columns(data: Any) -> Iterator[str]:
    for column in _items(data, "source", "columns"):
        name = column.get("alias") or column.get("name")
        if isinstance(name, str):
            yield name


def _sources_of(mapping: dict[str, Any]) -> Iterator[str]:
    source = mapping.get("source")
    yield from source if isinstance(source, list) else [source] if isinstance(source, str) else []


def _items(data: Any, part: str, key: str) -> Iterator[dict[str, Any]]:
    holder = data.get(part) if isinstance(data, dict) else None
    items = holder.get(key) if isinstance(holder, dict) else None
    yield from (each for each in items if isinstance(each, dict)) if isinstance(items, list) else ()
