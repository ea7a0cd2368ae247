"""What X says, and what is followed."""
