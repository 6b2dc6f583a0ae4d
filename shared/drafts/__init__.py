"""First definitions: from a source and the metadata of a table, and from the XML of another platform. Pure."""
