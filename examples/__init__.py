"""Small programs on the receiving side, to start from."""
