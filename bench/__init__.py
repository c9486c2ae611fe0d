"""Benchmarks, each a module: `python dev.py bench NAME`. README.md keeps their questions and last results."""
