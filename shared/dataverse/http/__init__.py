"""Requests to one environment: addresses, sign-in, transport, retries, and the service's answers and refusals."""
