"""LoRA Influence: through which of its parts does a LoRA act?"""
