"""Readings as pictures: charts, sheets and their files."""
