"""The export room: weights in, a bundle of converted graphs out, each proven to be the same network."""
