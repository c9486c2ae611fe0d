"""Encoder Influence: what each prompt changes in the model's velocity, and what both would have changed alike."""
