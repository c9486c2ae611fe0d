"""Do the controls have their intended effect on the nano models? `python dev.py bench meaning`; a file per control."""
