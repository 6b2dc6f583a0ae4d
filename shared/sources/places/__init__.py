"""Where rows of a source stand in its files."""
