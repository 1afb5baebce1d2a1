"""Blocks that any network may use, one idea a file."""
