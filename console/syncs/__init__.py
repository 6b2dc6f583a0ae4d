"""The page of one sync: its facts, its problems, its history."""
