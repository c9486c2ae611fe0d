"""The nano autoencoder: TAESD with fewer channels, embedded exactly in TAESD's own layout. Needs ComfyUI.

TAESD (https://github.com/madebyollin/taesd) has 64 channels in all layers. Simple shapes need far fewer, especially at
high resolution, and a slim network trains many times faster. A channel whose weights and biases are zero stays zero
through every convolution, ReLU and residual sum, so slim weights padded with zeros are a checkpoint of the official
shape that computes the same function.
"""

import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from comfy.taesd.taesd import Block, Clamp, conv
from torch import Tensor, nn
from tqdm import tqdm

from . import scenes
from .layouts import LATENT_CHANNELS

# Channels at 1/1, 1/2, 1/4 and 1/8 of the picture's height.
ENCODER_WIDTHS = (8, 16, 24, 48)
DECODER_WIDTHS = (16, 16, 32, 48)


def _encoder(widths: tuple[int, ...]) -> nn.Sequential:
    """comfy.taesd.taesd.Encoder with variable widths."""
    layers = [conv(3, widths[0]), Block(widths[0], widths[0])]
    for above, width in zip(widths, widths[1:], strict=False):
        layers += [conv(above, width, stride=2, bias=False), *(Block(width, width) for _ in range(3))]
    return nn.Sequential(*layers, conv(widths[-1], LATENT_CHANNELS))


def _decoder(widths: tuple[int, ...]) -> nn.Sequential:
    """comfy.taesd.taesd.Decoder with variable widths."""
    widths = widths[::-1]
    layers = [Clamp(), conv(LATENT_CHANNELS, widths[0]), nn.ReLU()]
    for width, below in zip(widths, widths[1:], strict=False):
        layers += [*(Block(width, width) for _ in range(3)), nn.Upsample(scale_factor=2)]
        layers += [conv(width, below, bias=False)]
    return nn.Sequential(*layers, Block(widths[-1], widths[-1]), conv(widths[-1], 3))


class SlimTAESD(nn.Module):
    """Pictures [B, 3, H, W] from 0 to 1 <-> latents [B, 16, H/8, W/8] of about unit variance, FLUX.1's input."""

    def __init__(self):
        super().__init__()
        self.taesd_encoder = _encoder(ENCODER_WIDTHS)
        self.taesd_decoder = _decoder(DECODER_WIDTHS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._carry_colours()

    @torch.no_grad()
    def _carry_colours(self) -> None:
        """Initializes the first three channels to carry the mean colour of 8 x 8 pixels, so that training starts from
        a blurred picture and only has to learn the details."""
        for half, taps in ((self.taesd_encoder, PAIR), (self.taesd_decoder, SMOOTH)):
            for layer in half:
                if isinstance(layer, Block):  # residual branches start small, and at zero in these three channels
                    layer.conv[-1].weight.mul_(0.1)[:3] = 0
                elif isinstance(layer, nn.Conv2d):
                    _carry(layer, taps if layer.bias is None else POINT)
        self.taesd_decoder[-1].weight[:, 3:].mul_(0.1)
        for layer, gain, shift in ((self.taesd_encoder[-1], 3.0, -1.5), (self.taesd_decoder[1], 1 / 3, 0.5)):
            layer.weight[:3].mul_(gain)
            layer.bias[:3] = shift


# Kernels that pass a channel on: unchanged, as the mean of 2 x 2 pixels when halving, smoothed when doubling.
POINT, PAIR, SMOOTH = (0.0, 1.0, 0.0), (0.0, 0.5, 0.5), (0.25, 0.5, 0.25)


def _carry(layer: nn.Conv2d, taps: tuple[float, float, float]) -> None:
    kernel = torch.outer(torch.tensor(taps), torch.tensor(taps))
    layer.weight[:3] = 0
    for channel in range(3):
        layer.weight[channel, channel] = kernel


def embed(slim: SlimTAESD, official: dict[str, Tensor]) -> dict[str, Tensor]:
    """The slim weights, padded with zeros to the shapes of an official TAESD state dict."""
    padded = {key: value.clone() for key, value in official.items()}
    for key, small in slim.state_dict().items():
        large = torch.zeros_like(official[key])
        large[tuple(slice(length) for length in small.shape)] = small
        padded[key] = large
    return padded


def pictures(batch: list[scenes.Scene]) -> Tensor:
    """Renders scenes -> [B, 3, H, W], 0 to 1."""
    rendered = np.stack([scenes.render(scene) for scene in batch])
    return torch.from_numpy(rendered).permute(0, 3, 1, 2).float() / 255


def covered(batch: list[scenes.Scene], size: int = scenes.SIZE) -> Tensor:
    """[B, size, size], 0 to 1: how much of each pixel the objects cover."""
    return torch.from_numpy(np.stack([scenes.masks(scene, size).max(0, initial=0) for scene in batch]))


def _near_objects(batch: list[scenes.Scene]) -> Tensor:
    """[B, 1, H, W], 0 to 1: the objects and two pixels around them."""
    return F.max_pool2d(covered(batch)[:, None], 5, stride=1, padding=2)


def _crops(rng: random.Random, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Random crops of random scenes and of what is near their objects, two from each picture, since rendering is the
    slower part."""
    batch = [scenes.random_scene(rng) for _ in range(count // 2)]
    whole = torch.cat([pictures(batch), _near_objects(batch)], 1)
    edge = whole.shape[-1] - size
    corners = [(picture, rng.randint(0, edge), rng.randint(0, edge)) for picture in whole for _ in range(2)]
    crops = torch.stack([picture[:, y : y + size, x : x + size] for picture, y, x in corners])
    return crops[:, :3], crops[:, 3:]


def loss(slim: SlimTAESD, image: Tensor, near: Tensor, noise: float, emphasis: float) -> Tensor:
    """L1 on pixels and on their differences, for clean edges, and a penalty that keeps latents near N(0, 1).

    Noise on the latents makes similar latents decode to similar pictures, so that small errors of the flow stay small.
    A pixel near an object (`near`, 0 to 1) weighs 1 + `emphasis`: the details are there, on a small part of a picture.
    """
    latent = slim.taesd_encoder(image)
    error = slim.taesd_decoder(latent + noise * torch.randn_like(latent)) - image
    weight = 1 + emphasis * near
    weight = weight / weight.mean()
    pixels = (weight * (error.abs() + error.square())).mean()
    edges = (weight[..., 1:] * error.diff(dim=-1).abs()).mean() + (weight[..., 1:, :] * error.diff(dim=-2).abs()).mean()
    mean, variance = latent.mean((0, 2, 3)), latent.var((0, 2, 3))
    normal = mean.square().mean() + variance.log().square().mean()
    return pixels + edges + 0.02 * normal


def train(
    slim: SlimTAESD,
    steps: int,
    seconds: float,
    seed: int,
    decoder_only: bool = False,
    batch: int = 16,
    crop: int = 64,
    noise: float = 0.15,
    emphasis: float = 4.0,
    lr: float = 3e-3,
) -> SlimTAESD:
    """Trains for `steps` steps or `seconds` seconds, whichever ends first; the learning rate falls linearly to 0.

    With `decoder_only` the latents do not change, so a flow that was trained on them stays valid.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    slim.to(memory_format=torch.channels_last).train()  # a tenth faster on CPUs, and steadier
    slim.taesd_encoder.requires_grad_(not decoder_only)
    learning = [value for value in slim.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=lr, betas=(0.9, 0.99), weight_decay=1e-4)
    start, average = time.monotonic(), None
    bar = tqdm(range(steps), desc="decoder" if decoder_only else "autoencoder", mininterval=5)
    for step in bar:
        progress = max(step / steps, (time.monotonic() - start) / seconds)
        if progress >= 1:
            break
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 100) * (1 - progress)
        image, near = _crops(rng, batch, crop)
        value = loss(slim, image.contiguous(memory_format=torch.channels_last), near, noise, emphasis)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        average = value.item() if average is None else average + 0.02 * (value.item() - average)
        bar.set_postfix(loss=f"{average:.4f}", refresh=False)
    return slim.requires_grad_(True).eval()
