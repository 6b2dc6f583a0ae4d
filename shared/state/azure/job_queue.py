"""The queue of jobs in Azure Queue Storage, and the poison queue that the Functions host keeps beside it."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage, QueueServiceClient

from shared.errors import UserError
from shared.settings import Settings
from shared.state.azure._errors import explained
from shared.state.azure._storage import RETRIES, options_of_files
from shared.state.job_queue import NOW, QUEUE_NAME, PoisonedMessage

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["StorageQueue", "open_queue"]

# The host names it so (Azure Functions, "Poison messages").
POISON: Final = f"{QUEUE_NAME}-poison"
# The service hides a message for seven days at most, and drops it after seven unless told otherwise.
LONGEST: Final = timedelta(days=6)
NEVER: Final = -1
AT_ONCE: Final = 32  # messages of one request; the service gives no more
# For how long a message of the poison queue that is being looked at is hidden from other instances.
LOOK_SECONDS: Final = 120


class StorageQueue:
    """See `JobQueue`.

    Args:
        service: Client of the queue service.
    """

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send(self, job_id: str, delay: timedelta = NOW) -> None:
        """See `JobQueue.send`."""
        # The trigger takes text as base64 unless host.json says otherwise.
        text = base64.b64encode(job_id.encode()).decode()
        # Rounded up: the job would not be due yet when its message comes, and the message would be for nothing.
        hidden = math.ceil(max(NOW, min(delay, LONGEST)).total_seconds())
        queue = self._service.get_queue_client(QUEUE_NAME)
        with explained():
            try:
                queue.send_message(text, visibility_timeout=hidden, time_to_live=NEVER)
            except ResourceNotFoundError:  # who may only send messages never comes here: the deployment makes the queue
                with suppress(ResourceExistsError):
                    queue.create_queue()
                queue.send_message(text, visibility_timeout=hidden, time_to_live=NEVER)

    def poisoned(self) -> Sequence[PoisonedMessage]:
        """See `JobQueue.poisoned`."""
        poison = self._service.get_queue_client(POISON)
        with explained():
            try:
                found = poison.receive_messages(max_messages=AT_ONCE, visibility_timeout=LOOK_SECONDS)
                return [PoisonedMessage(job_id=_id(message), receipt=message) for message in found]
            except ResourceNotFoundError:
                return []  # no message was ever delivered too often

    def discard(self, poisoned: PoisonedMessage) -> None:
        """See `JobQueue.discard`."""
        message: Any = poisoned.receipt
        with explained(), suppress(ResourceNotFoundError):  # another instance was faster
            self._service.get_queue_client(POISON).delete_message(message)

    def close(self) -> None:
        """Close the connections. The queue is not used afterwards."""
        self._service.close()


def open_queue(settings: Settings, credential: Callable[[], TokenCredential]) -> StorageQueue:
    """Open the queue in the account of `AzureWebJobsStorage`; see `open_azure`.

    Raises:
        UserError: The settings name no account.
    """
    options = options_of_files(RETRIES)
    if text := settings.storage_connection:
        try:
            return StorageQueue(QueueServiceClient.from_connection_string(text, **options))
        except ValueError as error:
            raise UserError("AzureWebJobsStorage is not a connection string of a storage account") from error
    if not settings.queue_endpoint:
        raise UserError(
            "the queue of jobs needs a storage account: set AzureWebJobsStorage__accountName, or "
            "AzureWebJobsStorage__queueServiceUri beside the URLs of blobs and tables"
        )
    return StorageQueue(QueueServiceClient(settings.queue_endpoint, credential=credential(), **options))


def _id(message: QueueMessage) -> str:
    try:
        return base64.b64decode(str(message.content), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
