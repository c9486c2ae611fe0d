"""Show Shape: the shapes of a value that flows between nodes, with BFL's names."""
