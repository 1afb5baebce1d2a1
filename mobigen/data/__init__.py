"""Training data: shards and folders, captions, colours and batches."""
