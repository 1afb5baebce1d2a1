"""Training: one loop, tasks, averaging of weights, and the scores that models are judged by."""
