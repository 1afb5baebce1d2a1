"""Tasks with a teacher: sentences, pictures, steps."""
