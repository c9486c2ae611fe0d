"""The JSON routes that js/ calls."""
