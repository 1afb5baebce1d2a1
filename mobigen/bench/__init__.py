"""The bench: how fast a bundle is and how much memory it takes, by one protocol, as records that can be compared."""
