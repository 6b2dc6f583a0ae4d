"""The app of this process, with the settings of its environment."""

from __future__ import annotations

from shared.app.app import App
from shared.app.once import Once
from shared.http.hosts import direct_hosts
from shared.settings import Settings, environment, reach_directly
from shared.telemetry import configure

__all__ = ["current", "open_app"]


def open_app(settings: Settings | None = None) -> App:
    """The program with the given settings, or with those of the environment.

    Raises:
        UserError: A setting cannot be used.
    """
    reach_directly(direct_hosts(environment()))
    return App(settings or Settings.load())


@Once
def current() -> App:
    """The deployed process' app: one for all invocations, so that secrets, metadata and connections are kept."""
    app = open_app()
    configure(app.settings)
    return app
