"""What people ask before the first run: which key, whether everything is there, what a first definition can be."""
