"""Rows for development and tests; the data, not the code that puts them in."""
