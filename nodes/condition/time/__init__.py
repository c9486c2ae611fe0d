"""When a prompt acts: timelines, ranges, and the moment of a run."""
