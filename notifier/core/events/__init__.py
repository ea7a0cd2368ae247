"""The event and its bytes, and the catalogue of types."""
