"""What flows on a wire: its shapes, in BFL's words."""
