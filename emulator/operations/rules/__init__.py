"""What the service decides by itself when a row is written.

Deletions, assignments, hierarchies and owners; states, amounts of money and activity parties.
"""
