"""A perceptual loss on ImageNet features of SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360).

It is not LPIPS: no weights are learned on top of the features.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mobigen.errors import WeightsError

__all__ = ["PerceptualLoss"]

FIRES = {  # name -> channels in, squeezed, and expanded on each of the two paths
    "fire2": (64, 16, 64), "fire3": (128, 16, 64), "fire4": (128, 32, 128), "fire5": (256, 32, 128),
    "fire6": (256, 48, 192), "fire7": (384, 48, 192), "fire8": (384, 64, 256), "fire9": (512, 64, 256),
}  # fmt: skip
POOL_BEFORE = ("fire2", "fire4", "fire6")
COMPARED = ("conv1", "fire3", "fire5", "fire7", "fire9")


class Fire(nn.Module):
    """1x1 squeeze, then 1x1 and 3x3 side by side, each with ReLU."""

    def __init__(self, channels: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 2 * expanded, H, W)."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


class PerceptualLoss(nn.Module):
    """Squared distance of channel-normalised features at five depths: the mean over positions, the sum over depths."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2)
        for name, (channels, squeezed, expanded) in FIRES.items():
            self.add_module(name, Fire(channels, squeezed, expanded))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1), persistent=False)

    @classmethod
    def from_file(cls, path: Path) -> PerceptualLoss:
        """Reads `squeezenet1_1.safetensors`; the classifier in it is not used.

        Raises:
            WeightsError: the file is missing or holds another network.
        """
        loss = cls()
        try:
            weights = load_file(path)
            loss.load_state_dict({name: weights[name].float() for name in weights if not name.startswith("classifier")})
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"no SqueezeNet 1.1 features in {path}: {reason}") from error
        return loss

    def features(self, images: Tensor) -> list[Tensor]:
        """RGB (B, 3, H, W) in [-1, 1] -> maps of unit vectors at the depths of COMPARED."""
        x = F.relu(self.conv1(((images + 1) / 2 - self.mean) / self.deviation))
        found = [x]
        for name in FIRES:
            if name in POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = self.get_submodule(name)(x)
            if name in COMPARED:
                found.append(x)
        return [F.normalize(x.float(), dim=1) for x in found]

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """Both (B, 3, H, W) RGB in [-1, 1] -> a scalar."""
        with torch.no_grad():
            wanted = self.features(references)
        pairs = zip(self.features(images), wanted, strict=True)
        return torch.stack([(mine - theirs).square().sum(1).mean() for mine, theirs in pairs]).sum()
