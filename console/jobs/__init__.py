"""Jobs, runs and plans: start, follow, cancel, look at errors, mend and retry, apply a plan."""
