import comfy.sd
import comfy.utils
import pytest
import torch

import nodes
from flux_duet.nodes.compat import autoencoders


@pytest.fixture
def vae(tiny):
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(tiny["ae"])))


def test_class(vae):
    """What VAELoader gives is a comfy.sd.VAE; `latent_channels` and `spacial_compression_decode()` are its latents'."""
    assert isinstance(vae, autoencoders.VAE)
    assert (vae.latent_channels, vae.spacial_compression_decode()) == (16, 8)


def test_tiles(vae, monkeypatch):
    """Where memory runs out, `decode` goes on in one of these methods, which it looks up on the VAE itself."""
    names = autoencoders.tiled_decoders(vae)
    assert {"decode_tiled_", "decode_tiled_3d"} <= set(names)
    called = []
    for name in names:
        monkeypatch.setattr(vae, name, lambda *_, name=name, **__: called.append(name) or torch.zeros(1, 3, 8, 8))

    def no_room(*_, **__):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(vae.first_stage_model, "decode", no_room)
    vae.decode(torch.zeros(1, 16, 1, 1))
    assert called == ["decode_tiled_"]


def test_encode(vae):
    """Heatmap of a Picture encodes as VAE Encode does: a picture [1, H, W, 3], of which every 8 x 8 pixels are one."""
    pixels = torch.rand(1, 48, 32, 3)
    latent = vae.encode(pixels)
    assert latent.shape == (1, 16, 6, 4)
    assert torch.equal(latent, nodes.VAEEncode().encode(vae, pixels)[0]["samples"])
