"""Events from files: JSON values, and the files that Event Hubs Capture writes."""

from shared.jobs.real_time.files.capture import Stream
from shared.jobs.real_time.files.given import EventFilePlace, messages_of

__all__ = ["EventFilePlace", "Stream", "messages_of"]
