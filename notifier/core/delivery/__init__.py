"""Delivery: which endpoints get an event, the request, and the outcome of the answer."""
