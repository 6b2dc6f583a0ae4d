"""Events from files: JSON values, and the files that Event Hubs Capture writes."""

from shared.jobs.real_time.files.capture import Stream
from shared.jobs.real_time.files.given import Place, messages_of

__all__ = ["Place", "Stream", "messages_of"]
