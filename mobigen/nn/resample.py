"""Changes of resolution that keep every value: pixels folded into channels and back."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FoldDown", "ShuffleUp"]


class FoldDown(nn.Module):
    """Folds `factor` x `factor` pixels into channels, then convolves."""

    def __init__(self, channels: int, out_channels: int, factor: int, kernel: int = 1):
        super().__init__()
        self.fold = nn.PixelUnshuffle(factor)
        self.conv = nn.Conv2d(channels * factor**2, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, out_channels, H / factor, W / factor)."""
        return self.conv(self.fold(x))


class ShuffleUp(nn.Module):
    """A convolution, then pixel shuffle by `factor`."""

    def __init__(self, channels: int, out_channels: int, factor: int, kernel: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels * factor**2, kernel, padding=kernel // 2)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, out_channels, H * factor, W * factor)."""
        return self.shuffle(self.conv(x))
