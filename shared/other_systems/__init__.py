"""What steps after the sync do in other systems: a statement of a database, a request to an API."""
