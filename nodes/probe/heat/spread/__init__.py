"""The refinement `spread`: from a map's peak to the places that are like it."""
