import comfy.cli_args
import comfy.utils
import latent_preview
import torch
from latent_preview import LatentPreviewMethod

from flux_duet.nodes.compat import previews


def test_bar(monkeypatch):
    """`update_absolute(value, total, preview)` sets `current` and calls ComfyUI's hook."""
    calls = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda *args, **_: calls.append(args))
    bar = previews.progress_bar(4)
    assert (bar.current, bar.total) == (0, 4)
    bar.update_absolute(3, 4, "shown")
    assert (bar.current, calls) == (3, [(3, 4, "shown")])


def test_console_bar(monkeypatch):
    """A switch of the whole process, looked up again at each call."""
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_ENABLED", False)
    assert previews.has_console_bar() is False


def test_callback(model, monkeypatch):
    """callback(step, x0, x, total) sets the node's progress bar to the number of finished steps."""
    calls = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda *args, **_: calls.append(args[:2]))
    previews.step_callback(model, 3)(1, torch.zeros(1, 16, 4, 4), torch.zeros(1, 16, 4, 4), 3)
    assert calls == [(2, 3)]


def test_previewer(model, monkeypatch):
    """None if previews are off; otherwise it returns (format, picture, largest side)."""
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", LatentPreviewMethod.NoPreviews)
    assert previews.previewer(model) is None
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    kind, picture, _ = previews.previewer(model).decode_latent_to_preview_image("JPEG", torch.zeros(1, 16, 4, 6))
    assert (kind, picture.size) == ("JPEG", (6, 4))


def test_rough_pictures(model):
    """A picture per latent, a pixel per latent pixel, of the latent in the model's own scale."""
    samples = torch.randn(2, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    known = model.get_model_object("latent_format")
    factors = known.latent_rgb_factors, known.latent_rgb_factors_bias, known.latent_rgb_factors_reshape
    native = latent_preview.Latent2RGBPreviewer(*factors)
    pictures = previews.rough_pictures(model, samples)
    assert [each.size for each in pictures] == [(6, 4), (6, 4)]
    assert pictures[1].tobytes() == native.decode_latent_to_preview(known.process_in(samples[1:])).tobytes()
    plain = known.process_in(samples[:1])[0].permute(1, 2, 0) @ torch.tensor(known.latent_rgb_factors)
    plain = plain + torch.tensor(known.latent_rgb_factors_bias)
    first = torch.tensor(list(pictures[0].getdata())).view(4, 6, 3)
    assert (first - ((plain + 1) / 2).clamp(0, 1) * 255).abs().max() <= 1.01
