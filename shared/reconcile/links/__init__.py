"""Records that the same run creates, and rows that refer to them: ids, order, failures. Pure."""
