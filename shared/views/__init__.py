"""What people and programs are shown, as values and JSON: for the command line and for other callers alike."""
