"""What `dev.py check` runs: the pack against native nodes on this machine, and a report for an issue."""
