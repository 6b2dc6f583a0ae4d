"""What programs need beside the pages: the OpenAPI document, and events over HTTP."""
