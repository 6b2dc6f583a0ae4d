"""Real time: a batch of events through every sync that listens, from the first decoding to dead letters and the log."""
