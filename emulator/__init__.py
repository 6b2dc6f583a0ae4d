"""A local Dataverse Web API: what the service documents, answered over HTTP from SQLite."""

__all__ = ["API_PATH", "API_VERSION"]

API_VERSION = "v9.2"
API_PATH = f"/api/data/{API_VERSION}/"
