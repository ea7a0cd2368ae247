"""To whom an event goes, what is sent, and what the answer means."""
