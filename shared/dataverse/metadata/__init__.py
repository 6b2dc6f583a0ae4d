"""What the environment says about its tables and their columns."""
