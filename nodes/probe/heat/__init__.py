"""Where in the picture does each word act? The attention, as it is computed, reduced to a map for each word."""
