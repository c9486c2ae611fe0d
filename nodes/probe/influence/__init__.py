"""Encoder Influence: how much each prompt changes the model's velocity, alone and in addition to the other prompt."""
