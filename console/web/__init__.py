"""Requests and answers: rules of every route, rendering, refusals, and what keeps browsers safe."""
