"""LoRA Anatomy: what does a LoRA change?"""
