"""All enabled syncs one after the other, in the order of their lookups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.definitions import ParameterValue, SyncDefinition
from shared.errors import SyncError, UserError
from shared.suggestions import did_you_mean

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["Order", "SyncTarget", "check_parameters", "in_order", "order_of", "own_parameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTarget:
    """What a sync writes to, and what its lookups search.

    Attributes:
        environment: Address of the environment.
        table: Logical name of the table.
        refers: Logical names of the tables that its lookups refer to.
    """

    environment: str
    table: str
    refers: frozenset[str] = frozenset()

    def needs(self, other: SyncTarget) -> bool:
        """Whether the lookups of this sync refer to the table of another one."""
        return other.environment == self.environment and other.table in self.refers


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order in which syncs run.

    Attributes:
        names: The syncs.
        needs: For each sync those before it that write to a table which its lookups refer to.
        circles: Syncs whose lookups refer to each other, in a circle; they run in the order of their names.
    """

    names: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    circles: tuple[tuple[str, ...], ...] = ()


def in_order(targets: Mapping[str, SyncTarget]) -> Order:
    """Put each sync behind those whose tables its lookups refer to; otherwise by name."""
    direct = {
        name: {other for other, its in targets.items() if other != name and target.needs(its)}
        for name, target in targets.items()
    }
    reached = {name: _reached(name, direct) for name in direct}
    # Syncs of one circle reach each other; a sync alone is a circle of one.
    circle = {name: tuple(sorted({name} | {o for o in reached[name] if name in reached[o]})) for name in direct}
    names: list[str] = []
    while left := [name for name in direct if name not in names]:
        ready = (circle[name] for name in left if all(o in names or o in circle[name] for o in reached[name]))
        names.extend(min(ready))
    needs = {name: tuple(o for o in names[:place] if o in direct[name]) for place, name in enumerate(names)}
    circles = sorted({names for names in circle.values() if len(names) > 1})
    return Order(names=tuple(names), needs=needs, circles=tuple(circles))


def _reached(name: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    """All syncs that a sync needs, those that they need, and so on; itself if it is in a circle."""
    found: set[str] = set()
    ahead = [*direct[name]]
    while ahead:
        following = ahead.pop()
        if following not in found:
            found.add(following)
            ahead.extend(direct[following])
    return found


def order_of(app: App, definitions: Iterable[SyncDefinition], given: Mapping[str, str]) -> Order:
    """The order of definitions, by the metadata of their environments.

    A definition whose environment cannot be asked is placed by the names in its text: its own run says what is wrong.
    """
    return in_order({each.name: _target(app, each, own_parameters(each, given)) for each in definitions})


def own_parameters(definition: SyncDefinition, given: Mapping[str, str]) -> dict[str, ParameterValue]:
    """Those of the given parameters that a definition declares."""
    return {name: value for name, value in given.items() if name in definition.parameters}


def check_parameters(definitions: Iterable[SyncDefinition], given: Mapping[str, str]) -> None:
    """Refuse parameters that no definition declares.

    Raises:
        UserError: There is one.
    """
    known = {name for each in definitions for name in each.parameters}
    for name in given:
        if name not in known:
            raise UserError(f"no enabled sync has a parameter {name}{did_you_mean(name, sorted(known), before='; ')}")


def _target(app: App, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> SyncTarget:
    try:
        joined, resolved = app.joined(definition.name, values)
        with closing(app.dataverse(joined, resolved)) as dataverse:
            table = dataverse.tables_of(joined)
            environment = dataverse.service.connection.base
        return SyncTarget(environment=environment, table=table.logical_name, refers=frozenset(table.related))
    except SyncError:
        destination = definition.destination
        named = {table for mapping in destination.mappings for each in mapping.lookups for table in each.tables}
        address = destination.connection or str(destination.service_url)
        return SyncTarget(environment=address, table=destination.entity, refers=frozenset(named - {destination.entity}))
