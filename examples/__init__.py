"""Small example programs for receivers."""
