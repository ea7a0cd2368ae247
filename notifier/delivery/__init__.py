"""Outbound HTTP: the client that posts deliveries, and the guard on the addresses that it dials."""
