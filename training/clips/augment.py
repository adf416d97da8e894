"""Augmentation of image-audio pairs, on batches: what may change without changing the class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def crop_images(images: Tensor, size: int) -> Tensor:
    """Return the centre crop of uint8 [B, H, W, 3]."""
    top = (images.shape[1] - size) // 2
    return images[:, top : top + size, top : top + size]


def crop_clips(clips: Tensor, size: int) -> Tensor:
    """Return the centre crop of uint8 [B, T, H, W, 3]."""
    cropped = crop_images(clips.flatten(0, 1), size)
    return cropped.view(*clips.shape[:2], *cropped.shape[1:])


def augment_clips(clips: Tensor, size: int, *, flip: bool = True) -> Tensor:
    """Crop and flip at random uint8 [B, T, H, W, 3], the same for all frames of a clip."""
    count, _, height, width, _ = clips.shape
    tops = torch.randint(0, height - size + 1, (count,)).tolist()
    lefts = torch.randint(0, width - size + 1, (count,)).tolist()
    crops = [
        clip[:, top : top + size, left : left + size]
        for clip, top, left in zip(clips, tops, lefts, strict=True)
    ]
    x = torch.stack(crops)
    if not flip:
        return x
    return torch.where((torch.rand(len(x)) < 0.5)[:, None, None, None, None], x.flip(3), x)


def augment_images(images: Tensor, size: int, *, flip: bool = True, swap_colours: bool = True) -> Tensor:
    """Change at random the crop, the flips, the colour and the detail of uint8 [B, H, W, 3]."""
    count, height, width, _ = images.shape
    tops = torch.randint(0, height - size + 1, (count,)).tolist()
    lefts = torch.randint(0, width - size + 1, (count,)).tolist()
    crops = [
        image[top : top + size, left : left + size]
        for image, top, left in zip(images, tops, lefts, strict=True)
    ]
    x = torch.stack(crops).permute(0, 3, 1, 2).float() / 255
    if flip:
        x = torch.where((torch.rand(count) < 0.5)[:, None, None, None], x.flip(3), x)
    if swap_colours:
        x = _swap(x)
    x = _colour(x)
    x = _blur(x)
    x = x + 0.03 * torch.rand(count, 1, 1, 1) * torch.randn_like(x)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def _swap(x: Tensor) -> Tensor:
    """Permute the channels, so that colour tells no class."""
    order = torch.rand(len(x), 3).argsort(dim=1)
    return x.gather(1, order[:, :, None, None].expand_as(x))


def _colour(x: Tensor) -> Tensor:
    """Change the saturation, the contrast and the light's colour."""
    count = x.shape[0]
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (0.3 + 1.0 * torch.rand(count, 1, 1, 1))
    x = 0.5 + (x - 0.5) * (0.6 + 0.7 * torch.rand(count, 1, 1, 1))
    return x + 0.15 * torch.randn(count, 3, 1, 1)


def _blur(x: Tensor) -> Tensor:
    """Take detail from a third of the images, as small or strongly compressed videos lack it."""
    small = functional.interpolate(x, scale_factor=0.5, mode="area")
    blurred = functional.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)
    return torch.where((torch.rand(x.shape[0]) < 0.33)[:, None, None, None], blurred, x)


def crop_samples(samples: Tensor, window: int) -> Tensor:
    """Turn int16 [B, window + spare] into float32 [B, window] in [-1, 1]."""
    return samples[:, :window].float() / 32767


def augment_samples(samples: Tensor, window: int) -> Tensor:
    """Change at random the shift, the gain, the band limit and the noise of int16 [B, window + spare]."""
    count, length = samples.shape
    starts = torch.randint(0, length - window + 1, (count, 1))
    x = samples.gather(1, starts + torch.arange(window)).float() / 32767
    spectrum = torch.fft.rfft(x)
    bins = torch.arange(spectrum.shape[1]) / spectrum.shape[1]
    # Half the sounds lose their upper band, as those recorded at 8 kHz have.
    cut = torch.where(torch.rand(count, 1) < 0.5, 1.0, 0.35 + 0.65 * torch.rand(count, 1))
    tilt = (bins + 0.02) ** (0.6 * (torch.rand(count, 1) - 0.5))
    x = torch.fft.irfft(spectrum * (bins < cut) * tilt, n=window)
    gain = 10 ** (torch.empty(count, 1).uniform_(-16, 8) / 20)
    noise = 10 ** (torch.empty(count, 1).uniform_(-5, -2) * 1.0)
    flip = torch.where(torch.rand(count, 1) < 0.5, -1.0, 1.0)
    augmented: Tensor = flip * gain * x + noise * torch.randn_like(x)
    return augmented.clamp(-1, 1)
