"""A node pack with one node: DualCLIPLoader for a T5 of another size than T5-XXL, for `bench edit --scale small`.

DualCLIPLoader reads T5's sizes from ComfyUI's own config file; this node has them as a JSON input.
"""

import json

import comfy.sd
import folder_paths


class SizedDualCLIPLoader:
    @classmethod
    def INPUT_TYPES(cls):
        files = (folder_paths.get_filename_list("text_encoders"),)
        return {"required": {"clip_name1": files, "clip_name2": files, "t5_config": ("STRING", {})}}

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "load"

    def load(self, clip_name1, clip_name2, t5_config):
        paths = [folder_paths.get_full_path_or_raise("text_encoders", name) for name in (clip_name1, clip_name2)]
        options = {"t5xxl_model_config": json.loads(t5_config)}
        return (comfy.sd.load_clip(paths, clip_type=comfy.sd.CLIPType.FLUX, model_options=options),)


NODE_CLASS_MAPPINGS = {"SizedDualCLIPLoader": SizedDualCLIPLoader}
