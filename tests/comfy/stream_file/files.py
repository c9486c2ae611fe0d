"""Saving an embedding by the node."""

from flux_duet.nodes.encode.embeddings.nodes import SaveStream

TEXT = "a (red:1.5) circle, \u6771\u4eac \U0001f600"


def saved(tmp_path, prefix="flux_duet/prompt", **streams):
    SaveStream.execute(prefix, **streams)
    (path,) = (tmp_path / "output").rglob("*.safetensors")
    return path
