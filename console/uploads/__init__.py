"""Files that people give: their addresses in storage, what has come there, and where they are kept."""
