"""The style, the script and the icon of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from console.web.needs import Need
from console.web.refusals import not_found
from console.web.rendering import STATIC, static_file
from console.web.routing import Path
from console.web.visit import Visit

__all__ = ["ROUTES"]

# The address has a text that changes with the file.
_FOREVER: Final = "public, max-age=31536000, immutable"


def _file(visit: Visit) -> Response:
    name = str(visit.request.path_params["name"])
    if name not in STATIC:
        raise not_found()
    data, mark = static_file(name)
    caching = _FOREVER if visit.query("v") == mark else "no-cache"
    return Response(data, media_type=STATIC[name], headers={"cache-control": caching, "etag": f'"{mark}"'})


ROUTES: Final[Sequence[Path]] = (Path(path="/static/{name}", answer=_file, need=Need.NOTHING),)
