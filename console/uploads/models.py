"""What programs say of a file that they want to send, and the address that they get."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AddressGiven", "FileAnnounced"]


class FileAnnounced(BaseModel):
    """A file that is to be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=1000, description="The name of the file.")
    size: int = Field(ge=1, description="Its bytes: a file of another size is refused.")


class AddressGiven(BaseModel):
    """Where the file is sent by PUT, once, before the address ends."""

    upload: str = Field(description="Names the file afterwards.")
    url: str = Field(description="With a signature: whoever has it can write this one file.")
    headers: dict[str, str] = Field(description="What the PUT needs.")
    until: datetime
