"""dev.py: environments are set up whole or not at all, once, and what goes wrong is told in one line."""
def test_x():
    import flux_duet, comfy.cli_args, sys
    print(flux_duet, sys.path)
