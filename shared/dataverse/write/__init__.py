"""Changes into the target: chunks, the number of requests at once, and one outcome for each change."""
