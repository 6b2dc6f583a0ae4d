"""The only package that sends requests to Dataverse: sign-in, transport, limits, errors, metadata, reader, writer."""

from shared.clock import Clock, SystemClock
from shared.dataverse.calls.operations import Operation
from shared.dataverse.changes import (
    KEY_TAKEN,
    LOOPS,
    NO_CODE,
    NO_LIMITS,
    Applied,
    Change,
    ChangeAction,
    Failed,
    Outcome,
    Skipped,
    WriteLimits,
)
from shared.dataverse.client import DEFAULT_PARALLEL, Dataverse
from shared.dataverse.course import CoursePoint
from shared.dataverse.http.connection import Connection, write_headers
from shared.dataverse.http.proofs import ClientAssertion, ClientCertificate, ClientSecret
from shared.dataverse.http.service import Usage
from shared.dataverse.http.tokens import ClientCredentials, CredentialTokens, TokenProvider
from shared.dataverse.metadata.tables import MetadataCache
from shared.dataverse.read.reader import READ_BY_ID
from shared.dataverse.read.references import SearchedValues
from shared.dataverse.read.tracking import Tracking
from shared.dataverse.write.controller import FIRST_ROWS
from shared.http.retry import RetryPolicy
from shared.http.transport import HttpTransport, Request, Response, Transport

__all__ = [
    "DEFAULT_PARALLEL",
    "FIRST_ROWS",
    "KEY_TAKEN",
    "LOOPS",
    "NO_CODE",
    "NO_LIMITS",
    "READ_BY_ID",
    "Applied",
    "Change",
    "ChangeAction",
    "ClientAssertion",
    "ClientCertificate",
    "ClientCredentials",
    "ClientSecret",
    "Clock",
    "Connection",
    "CoursePoint",
    "CredentialTokens",
    "Dataverse",
    "Failed",
    "HttpTransport",
    "MetadataCache",
    "Operation",
    "Outcome",
    "Request",
    "Response",
    "RetryPolicy",
    "SearchedValues",
    "Skipped",
    "SystemClock",
    "TokenProvider",
    "Tracking",
    "Transport",
    "Usage",
    "WriteLimits",
    "write_headers",
]
