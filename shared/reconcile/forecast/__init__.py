"""What a run will cost: requests, minutes, and the share of the day's requests that Dataverse allows."""
