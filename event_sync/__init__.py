"""The Event Hubs trigger: hands a batch of events to every listener that claims them."""

__all__: list[str] = []
