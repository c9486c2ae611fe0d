"""Do the controls mean on the nano models what they say? `python dev.py bench meaning`; a file for each control."""
