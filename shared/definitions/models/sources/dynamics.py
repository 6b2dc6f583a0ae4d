"""A table of Dataverse as a source."""

from __future__ import annotations

from pydantic import Field

from shared.definitions.models.base import FetchXml, ODataFilter, Text
from shared.definitions.models.dynamics_environment import CONNECTION, ConnectionName, DynamicsEnvironment
from shared.definitions.models.sources.base import SelfDescribing
from shared.definitions.models.sources.watermark import WatermarkedSource

__all__ = ["DynamicsSource"]


class DynamicsSource(DynamicsEnvironment, SelfDescribing, WatermarkedSource):
    """A Dataverse table, a saved view of it, or a query in FetchXML."""

    connection: ConnectionName | None = Field(default=None, description=CONNECTION)
    entity: str | None = Field(
        default=None,
        min_length=1,
        description="Table: logical name, entity set name or display name; not with `fetch_xml`.",
    )
    filter: ODataFilter | None = Field(
        default=None,
        description="OData filter without `$filter=`, applied by Dataverse; only these records are read.",
    )
    view: Text | None = Field(
        default=None, description="Name of a saved view of the table, whose columns and conditions are used."
    )
    fetch_xml: FetchXml | None = Field(
        default=None, description="Query in FetchXML, which names its table; the pages are added."
    )

    @property
    def row_filter(self) -> None:
        """Dataverse applies the filter."""
        return
