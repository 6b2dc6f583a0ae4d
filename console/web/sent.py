"""JSON bodies as the models that routes take."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.visible import for_terminal

__all__ = ["sent"]

M = TypeVar("M", bound=BaseModel)


def sent(visit: Visit, model: type[M], *, optional: bool = False, status: int = 422) -> M:
    """The body of a request.

    Args:
        visit: The request.
        model: What the route takes.
        optional: Whether no body is as good as an empty object.
        status: Of the refusal of what does not fit.

    Raises:
        Refusal: It is not JSON, or not what the route takes.
    """
    value = {} if optional and not visit.body.raw else visit.body.json()
    _refuse_half_characters(value, status)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
            for each in error.errors(include_input=False)[:10]
        )
        raise Refusal(status, "The body does not fit", for_terminal(said[:2000])) from None


def _refuse_half_characters(value: Any, status: int) -> None:
    """JSON may have halves of surrogate pairs in its texts; nothing can store or send them."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        detail = "A text has half of a surrogate pair, which is not a character."
        raise Refusal(status, "The body does not fit", detail) from None
