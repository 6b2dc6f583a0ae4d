"""The results that people and programs see, as values and JSON: for the command line and for other callers."""
