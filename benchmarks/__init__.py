"""Speed and memory, measured: commands that write a record, not tests that pass or fail."""
