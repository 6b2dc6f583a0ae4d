"""Pages of an API: how one asks for the next."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator, Field

from shared.definitions.models.base import WHOLE, Json, Model

__all__ = ["CursorPages", "EmptyPage", "LinkPages", "NumberedPages", "OffsetPages", "Pagination", "ParameterPlace"]


class ParameterPlace(StrEnum):
    """Where a request has the parameters of pages."""

    QUERY = "query"
    BODY = "body"


class EmptyPage(StrEnum):
    """What a page without records means if there is a next page."""

    END = "end"
    FOLLOW = "follow"


class _Pages(Model):
    type: str = Field(description="Kind of pagination.")
    total: Json | None = Field(
        default=None,
        description="JSONPath of the number of records, such as `$.total`. The run ends with an error if it changes "
        "between two pages, or if another number of records is read.",
    )


class _AskedPages(_Pages):
    parameter: str = Field(min_length=1, max_length=100, description="Name of the parameter that asks for a page.")
    size: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = Field(
        default=None, description="How many records a page should have."
    )
    size_parameter: str | None = Field(
        default=None, min_length=1, max_length=100, description="Name of the parameter that asks for `size`."
    )
    place: ParameterPlace = Field(
        default=ParameterPlace.QUERY,
        alias="in",
        description="Where the parameters are: in the `query` of the URL, or members of the `body`.",
    )


class OffsetPages(_AskedPages):
    """The number of records that come before the page; it grows by the number of records that were read."""

    type: Literal["offset"] = Field(description="A number of records to skip.")
    first: Annotated[int, Field(ge=0, le=1_000_000_000), WHOLE] = Field(
        default=0, description="The offset of the first page."
    )


class NumberedPages(_AskedPages):
    """The number of the page."""

    type: Literal["page"] = Field(description="Numbers of pages.")
    first: Annotated[int, Field(ge=0, le=1_000_000_000), WHOLE] = Field(
        default=1, description="The number of the first page."
    )


class CursorPages(_AskedPages):
    """A mark that each answer gives for the next page; the last answer has none, or null, or an empty text."""

    type: Literal["cursor"] = Field(description="Marks in the answers.")
    next: Json = Field(description="JSONPath of the mark in the answer, such as `$.paging.next`.")
    empty_page: EmptyPage = Field(
        default=EmptyPage.END,
        description="What a page without records means if there is a mark: the `end`, or `follow` the mark.",
    )


class LinkPages(_Pages):
    """The address of the next page, which each answer gives; the last answer has none."""

    type: Literal["link"] = Field(description="Links in the answers.")
    next: Json | None = Field(
        default=None,
        description="JSONPath of the link in the answer, such as `$.nextLink`. Without it, the header `Link` with "
        '`rel="next"` is read.',
    )
    empty_page: EmptyPage = Field(
        default=EmptyPage.FOLLOW,
        description="What a page without records means if there is a link: the `end`, or `follow` the link.",
    )


Pagination = Annotated[OffsetPages | NumberedPages | CursorPages | LinkPages, Discriminator("type")]
