"""Where the rows of a source are in its files, and where its files are in folders."""
