"""Keys of files that contain text."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Encoding", "codec_name"]


def codec_name(name: str) -> str:
    """Python's name of an encoding of text.

    Raises:
        ValueError: There is no such encoding, or it is not for text.
    """
    try:
        " ".encode(name)  # some codecs are not for text (base64, rot13), which is known only here
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("unknown encoding; write one such as utf-8, utf-16, windows-1252 or iso-8859-1") from None


Encoding = Annotated[str, AfterValidator(codec_name)]
