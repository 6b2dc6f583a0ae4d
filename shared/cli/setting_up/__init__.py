"""Commands before the first run: a folder, a first definition, what the metadata of the environment says."""
