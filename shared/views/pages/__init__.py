"""Self-contained HTML pages: their parts, style and charts, and the page of runs."""
