"""Where observations come from: the X API client and its request budget."""
