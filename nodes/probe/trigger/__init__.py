"""Trigger Test: does a word wake a LoRA, and in which prompt?"""
