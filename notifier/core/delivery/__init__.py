"""Which endpoints get an event, what is sent, and what the answer means."""
