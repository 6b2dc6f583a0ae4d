"""Saved views: their FetchXML, found by the name of the view."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shared.dataverse.http.service import Call, Service
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.odata import odata_text
from shared.suggestions import did_you_mean

__all__ = ["view_query"]

# Views of the system come first, then those of the user who reads (Microsoft: retrieve and execute predefined queries).
_TABLES: Final = (("savedqueries", "savedqueryid"), ("userqueries", "userqueryid"))


def view_query(service: Service, entity: EntityMetadata, name: str) -> str:
    """The FetchXML of a saved view.

    Args:
        service: Sends.
        entity: The table of the view.
        name: The name of the view, without regard to case.

    Raises:
        UserError: There is no view of this name, or more than one.
        AbortRun: No privilege.
        RetryLater: The service is unavailable.
    """
    names: list[str] = []
    for table, primary_id in _TABLES:
        condition = quote(f"returnedtypecode eq {odata_text(entity.logical_name)}", safe="'")
        path = f"{table}?$select=name,{primary_id}&$filter={condition}"
        rows = service.fetch_json(Call(path=path, table=table)).rows()
        views = [(row.member("name").text(""), row.member(primary_id).guid()) for row in rows]
        names += [view for view, _ in views]
        found = [record for view, record in views if view.casefold() == name.casefold()]
        if len(found) > 1:
            raise UserError(f"{entity.logical_name} has {len(found)} views with the name {name}; rename one of them")
        if found:
            answer = service.fetch_json(Call(path=f"{table}({found[0]})?$select=fetchxml", table=table))
            return answer.member("fetchxml").text("")
    hint = did_you_mean(name, names) or f"there are: {', '.join(sorted(names)) or 'none'}"
    raise UserError(f"{entity.logical_name} has no view {name}; {hint}")
