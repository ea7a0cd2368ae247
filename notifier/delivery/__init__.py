"""Outbound HTTP: the client that posts deliveries, over connections of its own or through a proxy, and the guard."""
