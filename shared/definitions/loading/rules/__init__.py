"""Rules between the keys of a definition, a connection or a source; each problem has the path of its key."""
