"""What stands between a client and the operations: sign-in, limits, faults, counters and the time model."""
