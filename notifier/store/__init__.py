"""Redis: every key, every script, and one small module per record."""
