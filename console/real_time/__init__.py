"""Real time: listeners, their events, and dead letters that are sent again."""
