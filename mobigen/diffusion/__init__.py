"""The mathematics of flow matching: the path, the times, guidance. No networks."""
