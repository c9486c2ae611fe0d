"""VAE Decode compared with the native node, and its message when memory is short."""

import copy

import pytest
import torch

import nodes
from flux_duet.nodes.decode.decoding import decode
from flux_duet.nodes.decode.nodes import TILED, VAEDecode

pytestmark = pytest.mark.usefixtures("as_executed")

LATENTS = {
    "one": torch.randn(1, 16, 8, 8),
    "batch, oblong": torch.randn(2, 16, 5, 6),
    "a video's single frame": torch.randn(1, 16, 1, 4, 4),
}


@pytest.fixture
def short_of_memory(vae):
    """The same VAE with too little GPU memory: `made()` returns one that runs out at its first whole picture."""

    def made(error=torch.cuda.OutOfMemoryError):
        small = copy.copy(vae)
        small.first_stage_model = copy.copy(vae.first_stage_model)
        whole, calls = vae.first_stage_model.decode, []

        def decode_or_fail(samples, **options):
            calls.append(samples.shape)
            if len(calls) == 1:
                raise error("out of memory")
            return whole(samples, **options)

        small.first_stage_model.decode = decode_or_fail
        return small

    return made


@pytest.mark.parametrize("latent", LATENTS.values(), ids=LATENTS)
def test_pixels_are_native(vae, latent):
    out = VAEDecode.execute(vae, {"samples": latent})
    (theirs,) = nodes.VAEDecode().decode(vae, {"samples": latent})
    assert torch.equal(out[0], theirs)
    assert out[0].shape == (latent.shape[0], 8 * latent.shape[-2], 8 * latent.shape[-1], 3)
    assert out[0].min() >= 0 and out[0].max() <= 1
    assert out.ui is None


def test_a_videos_frames_become_a_batch():
    class VideoVAE:
        def decode(self, samples):
            return samples.movedim(1, -1)[..., :3]  # [B, T, H, W, C]

    latent = {"samples": torch.randn(2, 16, 5, 4, 6)}
    ours, tiled = decode(VideoVAE(), latent)
    assert ours.shape == (10, 4, 6, 3) and not tiled
    assert torch.equal(ours, nodes.VAEDecode().decode(VideoVAE(), latent)[0])


@pytest.mark.slow
def test_short_memory_falls_back_to_tiles_and_says_so(vae, short_of_memory, caplog):
    latent = {"samples": torch.randn(1, 16, 66, 2)}  # longer than a tile of 64
    out = VAEDecode.execute(short_of_memory(), latent)
    assert out.ui == {"text": (TILED,)}
    assert TILED in caplog.text
    assert torch.equal(out[0], nodes.VAEDecode().decode(short_of_memory(), latent)[0])
    whole, tiled = decode(vae, latent)
    assert not tiled
    assert not torch.equal(out[0], whole) and (out[0] - whole).abs().mean() < 0.1


def test_other_errors_are_not_hidden(short_of_memory):
    with pytest.raises(KeyError, match="out of memory"):
        decode(short_of_memory(KeyError), {"samples": LATENTS["one"]})


def test_the_shared_vae_is_left_alone(vae, short_of_memory):
    small = short_of_memory()
    before = dict(vars(small)), dict(vars(vae))
    assert decode(small, {"samples": LATENTS["one"]})[1]
    decode(vae, {"samples": LATENTS["one"]})
    assert (dict(vars(small)), dict(vars(vae))) == before


def test_the_latent_is_left_alone(vae):
    latent = {"samples": LATENTS["one"].clone(), "batch_index": [0]}
    before = dict(latent)
    decode(vae, latent)
    assert latent.keys() == before.keys() and latent["samples"] is before["samples"]
    assert torch.equal(latent["samples"], LATENTS["one"])


def test_no_vae_is_refused():
    with pytest.raises(ValueError, match="no VAE is connected. Connect VAELoader"):
        VAEDecode.execute(None, {"samples": LATENTS["one"]})
