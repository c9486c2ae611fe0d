"""The measure through T5 x causal: where the word's rows are attended to and the word makes a difference."""
