"""What X says and what we follow."""
