"""Kinds of endpoints: one module for each, and one table of them."""
