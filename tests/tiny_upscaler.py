"""A tiny x2 upscaler of plain convolutions, with pictures of a stated range on both sides: what 8-bit forms are for."""

import torch
import torch.nn.functional as F
from torch import nn

from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

SIZE = 8
RED_GREEN_BLUE_4 = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


class TinyUpscaler(Network):
    """Convolutions with every neighbour that a plan knows: shared input, concatenation, skip, clamp, pixel shuffle."""

    component = "upscaler"

    def __init__(self, width: int = 6, low: float = 0.0):
        super().__init__()
        self.low = low
        self.left, self.right = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(3, width, 3, padding=1)
        self.mix = nn.Conv2d(2 * width, width, 1)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, image):
        x = torch.cat([F.relu(self.left(image)), F.relu(self.right(image))], dim=1)
        x = F.relu6(self.mix(x))
        x = x + F.relu(self.body(x))
        x = self.head(x) + image[:, RED_GREEN_BLUE_4]
        return F.pixel_shuffle(x.clamp(self.low, 1), 2)

    def signature(self):
        image = TensorSpec("image", (1, 3, SIZE, SIZE), low=self.low, high=1.0)
        return Signature(
            "upscaler", (image,), (TensorSpec("upscaled", (1, 3, 2 * SIZE, 2 * SIZE), low=self.low, high=1.0),)
        )

    def example_inputs(self, generator):
        return draw_images(1, generator, self.low)


def draw_images(batch_size, generator, low=0.0):
    """Smooth pictures: random 4x4 colours, enlarged."""
    small = torch.rand(batch_size, 3, 4, 4, generator=generator)
    return {"image": low + (1 - low) * F.interpolate(small, SIZE, mode="bilinear")}


def tiny_upscaler(seed=0, **options):
    """In evaluation mode, with weights such that all of its outputs are used and some are cut by the clamp."""
    network = TinyUpscaler(**options)
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.12, generator=generator)
    return network.eval()


def arrays(network, count, seed=0):
    """Inputs as NumPy arrays."""
    generator = torch.Generator().manual_seed(seed)
    return [{k: v.numpy() for k, v in network.example_inputs(generator).items()} for _ in range(count)]
