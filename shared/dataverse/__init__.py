"""The only package that speaks to Dataverse: sign-in, transport, limits, errors, metadata, reader, writer."""

from shared.dataverse.changes import KEY_TAKEN, Applied, Change, ChangeAction, Failed, Outcome, Skipped
from shared.dataverse.client import Dataverse
from shared.dataverse.clock import Clock, SystemClock
from shared.dataverse.connection import Connection, write_headers
from shared.dataverse.metadata import MetadataCache
from shared.dataverse.retry import Patience
from shared.dataverse.service import Usage
from shared.dataverse.tokens import ClientCredentials, CredentialTokens, TokenProvider
from shared.dataverse.transport import HttpTransport, Request, Response, Transport

__all__ = [
    "KEY_TAKEN",
    "Applied",
    "Change",
    "ChangeAction",
    "ClientCredentials",
    "Clock",
    "Connection",
    "CredentialTokens",
    "Dataverse",
    "Failed",
    "HttpTransport",
    "MetadataCache",
    "Outcome",
    "Patience",
    "Request",
    "Response",
    "Skipped",
    "SystemClock",
    "TokenProvider",
    "Transport",
    "Usage",
    "write_headers",
]
