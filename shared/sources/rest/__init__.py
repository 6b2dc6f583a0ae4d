"""JSON over HTTP as a source: address and sign-in, retried requests, pages, and their records."""
