"""Probes: measure what each prompt does during a run, and draw the result. A probe never changes the picture."""
