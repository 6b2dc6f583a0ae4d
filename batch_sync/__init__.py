"""The triggers of batches: the timer finds what is due, and the queue runs one job an instance."""

__all__: list[str] = []
