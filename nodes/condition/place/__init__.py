"""Where a prompt acts: in which blocks, on which part of the picture, for or against it."""
