"""What did each encoder do? Readings of a run: hooks, record, numbers, plot. A probe never changes the picture."""
