"""What each request passes before its operation: sign-in, limits, faults, counters and the time model."""
