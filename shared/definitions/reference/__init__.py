"""The format of a definition for people and editors: the reference page, an example, the JSON Schema."""
