"""Choice columns: what texts of a source and constants of a definition name their options."""
