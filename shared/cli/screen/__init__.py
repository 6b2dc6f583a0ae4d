"""What is shown on a terminal: results, tables, and progress."""
