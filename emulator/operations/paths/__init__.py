"""The paths after a row: properties, lookups, and collections of related rows."""
