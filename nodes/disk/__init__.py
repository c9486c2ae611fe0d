"""What the pack keeps on disk: whole writes, bounded folders, what is in a file, what the machine computes with."""
