"""Networks that learn for 8 bits: which layers, between which neighbours, and the ranges that they learn."""
