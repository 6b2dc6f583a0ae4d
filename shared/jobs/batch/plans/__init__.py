"""Plans of batch runs: what they show, and that a saved one is applied once."""
