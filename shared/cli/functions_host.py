"""The host of the deployed app, which can be told to look for requests now."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import requests

from shared.errors import UserError
from shared.http.hosts import is_loopback

__all__ = ["FunctionsHost"]

TIMER = "batch_sync"  # the function that takes requests up
SECONDS = 30.0  # a host that sleeps needs its time to wake up


class FunctionsHost:
    """The host of a deployed app, which can be told to call a function now.

    Args:
        url: Where the app is, such as ``https://my-app.azurewebsites.net``.
        key: The app's master key.

    Raises:
        UserError: The address is not an app's, the key would be sent unencrypted, or there is no key.
    """

    def __init__(self, url: str, key: str) -> None:
        parts = _split(url)
        host = (parts.hostname or "") if parts else ""
        if not parts or parts.scheme not in {"http", "https"} or not host or parts.username is not None or parts.query:
            raise UserError("--app: write the app's address, such as https://my-app.azurewebsites.net")
        if parts.scheme != "https" and not is_loopback(host):
            raise UserError(f"--app: {host} must use https, because the request carries a key")
        if not key:
            raise UserError(
                "--app needs the app's master key in the setting FUNCTIONS_ADMIN_KEY "
                "(az functionapp keys list --resource-group GROUP --name APP --query masterKey); without --app the "
                "request waits for the next tick"
            )
        self._host, self._key = host, key
        self._url = f"{url.rstrip('/')}/admin/functions/{TIMER}"

    def tick(self) -> None:
        """Let the timer's function run now.

        Raises:
            UserError: The host cannot be reached or refuses.
        """
        # https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
        try:
            answer = requests.post(
                self._url,
                json={"input": ""},
                headers={"x-functions-key": self._key},
                timeout=SECONDS,
                allow_redirects=False,  # a redirect would send the key to an unknown host
            )
        except (requests.RequestException, ValueError) as error:  # a ValueError for a host that cannot be a name
            raise UserError(f"{self._host} cannot be reached ({type(error).__name__})") from error
        match answer.status_code:
            case 200 | 202:
                return
            case 401 | 403:
                raise UserError(f"{self._host} refused the key: set FUNCTIONS_ADMIN_KEY to the app's master key")
            case 404:
                raise UserError(
                    f"{self._host} has no function {TIMER}: check that this is the app, and that it is "
                    f"deployed and started"
                )
            case status:
                raise UserError(f"{self._host} answered with status {status}")


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        parts = urlsplit(url)
        parts.hostname, parts.port  # noqa: B018 - they are read now, because they may be none
    except ValueError:
        return None
    return parts
