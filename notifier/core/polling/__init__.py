"""What is asked of X next, and what its answers and failures mean for that."""
