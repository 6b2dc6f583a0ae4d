"""What the Functions host does with the queue of a trigger: gives each message to the function, and counts the tries."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage, QueueServiceClient

from shared.settings import Settings
from shared.state.job_queue import QUEUE_NAME

# host.json
MOST_DELIVERIES = 5


class Died(BaseException):
    """Stands for the end of the process: the host cannot do anything more with the message."""


class QueueListener:
    """The host's listener of one queue.

    Args:
        connection: Connection string of the storage account.
        call: The function; an exception counts as its failure.
        hidden: Seconds for which a message is hidden when it is delivered. The host renews ten minutes again and
            again; here nothing is renewed.
        again: Seconds after which a message comes again whose function failed (`visibilityTimeout`).
    """

    def __init__(self, connection: str, call: Callable[[str], object], *, hidden: int = 600, again: int = 0) -> None:
        self._call = call
        self._hidden, self._again = hidden, again
        self._service = QueueServiceClient.from_connection_string(connection)
        self._queue = self._service.get_queue_client(QUEUE_NAME)
        self._poison = self._service.get_queue_client(f"{QUEUE_NAME}-poison")

    def step(self) -> str | None:
        """Deliver one message: the id of its job; None where no message is visible."""
        try:
            message = self._queue.receive_message(visibility_timeout=self._hidden)
        except ResourceNotFoundError:
            return None
        if message is None:
            return None
        job_id = base64.b64decode(message.content).decode()
        delivered = message.dequeue_count or 0
        if delivered > MOST_DELIVERIES:
            self._move(message)
            return job_id
        try:
            self._call(job_id)
        except Died:
            return job_id
        except Exception:  # noqa: BLE001 - whatever a function raises counts as its failure
            if delivered >= MOST_DELIVERIES:
                self._move(message)
            else:
                self._queue.update_message(message, visibility_timeout=self._again)
        else:
            with suppress(ResourceNotFoundError):
                self._queue.delete_message(message)
        return job_id

    def drain(self) -> list[str]:
        """Deliver all that is visible; the ids in their order."""
        return list(iter(self.step, None))

    def waiting(self) -> int:
        """How many messages there are, the hidden ones included."""
        return self._queue.get_queue_properties().approximate_message_count or 0

    def poison(self) -> list[str]:
        """The job ids in the poison queue."""
        with suppress(ResourceNotFoundError):
            return [base64.b64decode(one.content).decode() for one in self._poison.peek_messages(32)]
        return []

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def _move(self, message: QueueMessage) -> None:
        with suppress(ResourceExistsError):
            self._poison.create_queue()
        self._poison.send_message(message.content)
        self._queue.delete_message(message)


def main() -> None:
    """Be one instance of the app that only runs jobs, until it is ended from outside or no job came for a while."""
    from batch_sync.tick import run_job

    idle = float(os.environ.get("WORKER_IDLE", "60"))
    listener = QueueListener(
        Settings.load().storage_connection, run_job, hidden=int(os.environ.get("WORKER_HIDDEN", "600"))
    )
    last = time.monotonic()
    while time.monotonic() - last < idle:
        if listener.step() is None:
            time.sleep(0.1)
        else:
            last = time.monotonic()


if __name__ == "__main__":
    main()
