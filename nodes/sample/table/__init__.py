"""Modulation Table: what the modulation layers give at every step of a run, computed once at its first step."""
