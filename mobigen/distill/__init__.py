"""Tasks with a teacher: sentences, pictures, steps, and a network's own output in 8 bits."""
