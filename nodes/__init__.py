"""The pack's code: stages (encode, condition, sample, decode), probes and routes. `extension.py` lists all nodes."""
