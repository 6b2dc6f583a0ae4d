"""The console's function: thin, and quick to import."""

from __future__ import annotations

import azure.functions as func

__all__ = ["blueprint"]

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


# Anonymous for the host: App Service Authentication checks who signs in, and the console what they may do.
@blueprint.function_name("console")
@blueprint.route(route="{*path}", auth_level=func.AuthLevel.ANONYMOUS)
async def console(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer a request to the console or its API."""
    # A cold start for the timer does not load the web app.
    from console.deployed import middleware  # noqa: PLC0415 - see above

    answer: func.HttpResponse = await middleware().handle_async(req, context)
    return answer
