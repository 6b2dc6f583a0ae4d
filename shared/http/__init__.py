"""HTTP for all rooms: hosts that may be reached, one request and its bounded answer, and when to try again."""
