"""Heatmap of a Picture: where is a word in a picture that is given, not sampled?"""
