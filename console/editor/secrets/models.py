"""What programs send to write a secret, and get from it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.secrets.vault_writer import MOST_BYTES

__all__ = ["SecretValue", "WrittenSecret"]


class SecretValue(BaseModel):
    """The value of a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: str = Field(
        min_length=1,
        max_length=MOST_BYTES,
        repr=False,
        description=f"The value, up to {MOST_BYTES:,} bytes. No answer repeats it.",
        json_schema_extra={"format": "password", "writeOnly": True},
    )
    replace: bool = Field(
        default=False,
        strict=True,
        description="Whether a secret that has this name gets a new version. Without it the answer is 409.",
    )


class Reference(BaseModel):
    """What stands in a definition."""

    key_vault: str


class WrittenSecret(BaseModel):
    """A secret that was written."""

    reference: Reference = Field(description="What stands in a definition for the secret.")
    created: bool = Field(description="Whether there was no secret of this name.")
