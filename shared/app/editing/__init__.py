"""What people ask while they edit a definition that is not saved: tests, previews, and what the environment has."""
