"""Requests to one environment: addresses, sign-in, and the service's answers and refusals."""
