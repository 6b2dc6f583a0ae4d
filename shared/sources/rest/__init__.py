"""JSON over HTTP as a source: address and sign-in, requests that are sent again, pages, and their records."""
