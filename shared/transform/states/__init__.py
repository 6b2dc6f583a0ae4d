"""State and status reason, which go together. Pure."""
