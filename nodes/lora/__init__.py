"""LoRAs sorted by what they change: load with a strength for each part, save what remains."""
