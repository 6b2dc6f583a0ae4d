"""JSON bodies as the models that routes take."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.visible import for_terminal

__all__ = ["sent"]

M = TypeVar("M", bound=BaseModel)


def sent(visit: Visit, model: type[M]) -> M:
    """The body of a request.

    Raises:
        Refusal: It is not JSON, or not what the route takes.
    """
    try:
        return model.model_validate(visit.body.json())
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
            for each in error.errors(include_input=False)[:10]
        )
        raise Refusal(422, "The body does not fit", for_terminal(said[:2000])) from None
