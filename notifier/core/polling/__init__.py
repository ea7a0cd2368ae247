"""What to ask X next, and what its answers and failures mean for that."""
