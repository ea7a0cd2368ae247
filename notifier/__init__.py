"""Space Notifier: watches X Spaces and sends every change that matters as a signed webhook."""

__version__ = "0.1.0"
