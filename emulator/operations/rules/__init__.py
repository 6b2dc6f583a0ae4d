"""Rules of the service that hold for every write: deletions, assignments, hierarchies and owners."""
