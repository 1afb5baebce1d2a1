"""Networks, one family a file; they do not know how they are trained, exported or named."""
