"""Where a definition's environment is and how it wants to be spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from shared.definitions.models import KeyMatch, ParameterValue, WriteOptions
from shared.definitions.models.service_url import checked_service_url
from shared.definitions.parameters import in_text
from shared.errors import DefinitionError, Problem
from shared.http.retry import RETRY_POLICY, RetryPolicy
from shared.settings import DYNAMICS_CLOUDS

__all__ = ["PAGE_ROWS", "Connection", "service_url_of", "write_headers"]

PAGE_ROWS = 5000  # the most that the service gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One environment, as one definition uses it.

    Attributes:
        service_url: ``https://org.api.crm.dynamics.com/api/data/v9.2/``, with or without the last slash.
        timeout: Seconds for one request.
        write_headers: Sent with every write; see `write_headers`.
        key_match: How the sync's keys are compared, needed where records are looked up by key.
        allowed_hosts: Patterns of hosts that may get a token.
        parallel: Most requests in flight for one application user.
        bulk_delete_from: So many deletes in one write, or more, become `BulkDelete` jobs; None for never.
        page_rows: Records of a page that a query asks for.
        retry_policy: How long and how often failed requests are sent again.
    """

    service_url: str
    timeout: float = 100
    write_headers: Mapping[str, str] = field(default_factory=dict)
    key_match: KeyMatch = KeyMatch.SERVICE
    allowed_hosts: tuple[str, ...] = DYNAMICS_CLOUDS
    parallel: int = 48
    bulk_delete_from: int | None = None
    page_rows: int = PAGE_ROWS
    retry_policy: RetryPolicy = RETRY_POLICY
    user_agent: str = "dynamics-sync"

    @property
    def base(self) -> str:
        """The service URL with exactly one slash at its end."""
        return self.service_url.rstrip("/") + "/"

    @property
    def environment(self) -> str:
        """The host of the environment in one form: `org.api.crm4.dynamics.com` is `org.crm4.dynamics.com`, too."""
        return urlsplit(self.service_url).netloc.rpartition("@")[2].lower().replace(".api.", ".", 1)


def write_headers(options: WriteOptions, values: Mapping[str, ParameterValue]) -> dict[str, str]:
    """The optional request headers that a definition's `options` ask for (Microsoft: "optional parameters").

    `MSCRM.BypassCustomPluginExecution` and friends are older forms; one header with both words is the current one.

    Raises:
        DefinitionError: The value of a parameter in `run_as` is not an id.
    """
    headers: dict[str, str] = {}
    if options.bypass_custom_logic:
        words = {"sync": "CustomSync", "async": "CustomAsync"}
        headers["MSCRM.BypassBusinessLogicExecution"] = ",".join(words[word] for word in options.bypass_custom_logic)
    if options.suppress_flows:
        headers["MSCRM.SuppressCallbackRegistrationExpanderJob"] = "true"
    if options.detect_duplicates:
        headers["MSCRM.SuppressDuplicateDetection"] = "false"
    if options.run_as:
        headers["CallerObjectId"] = _user_id(in_text(options.run_as, values))
    return headers


def _user_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        message = "the value of its parameter is not an object id such as 00000000-0000-0000-0000-000000000000"
        raise DefinitionError([Problem(message=message, path="destination.options.run_as")]) from None


def service_url_of(text: str | None, values: Mapping[str, ParameterValue], *, place: str = "destination") -> str:
    """The Web API's address; with a parameter in it, it can only be checked now.

    Raises:
        DefinitionError: It is not a service URL, or there is none.
    """
    if text is None:
        message = "there is no address of the Web API, and no connection that has it"
        raise DefinitionError([Problem(message=message, path=f"{place}.service_url")])
    try:
        return checked_service_url(in_text(text, values))
    except ValueError as error:
        raise DefinitionError([Problem(message=str(error), path=f"{place}.service_url")]) from None
