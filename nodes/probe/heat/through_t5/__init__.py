"""The measure through T5: the maps of the rows, mixed by how much of each row is due to each word."""
