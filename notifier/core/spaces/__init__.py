"""From evidence about a Space to its new state and events."""
