"""What a recipe is, and the workspace in which it finds data, earlier results and caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from tokenizers import Tokenizer

from mobigen.data.latents import CaptionTable, LatentSet, encode_captions, encode_pictures
from mobigen.data.stickers import StickerSet, load_stickers
from mobigen.errors import ConfigError, WeightsError
from mobigen.models.autoencoder import Encoder
from mobigen.models.network import Network
from mobigen.models.text_encoder import TextEncoder
from mobigen.train.loop import Progress, RunSettings, train
from mobigen.train.perceptual import PerceptualLoss
from mobigen.train.task import Task

__all__ = ["Recipe", "Workspace"]

AnyNetwork = TypeVar("AnyNetwork", bound=Network)
WEIGHTS = Path(__file__).parents[2] / "weights"


@dataclass(frozen=True)
class Workspace:
    """Folders of a run.

    data: holds the data sets by name (`stickers/*.tar`, `imagenet/*.safetensors`), or the shards themselves.
    out: takes a folder a component, and a folder a recipe with its checkpoint and log; caches go to `out`/cache.
    init: a folder of components to start from instead of from random weights, or None.
    model: the name under weights/ where components that `out` lacks are found.
    sizes: keyword arguments of networks that are made new, by component; for small trials.
    """

    data: Path
    out: Path
    init: Path | None = None
    model: str = "sticker"
    sizes: dict[str, dict[str, Any]] | None = None

    @property
    def device(self) -> torch.device:
        return PartialState().device

    @cached_property
    def stickers(self) -> StickerSet:
        folder = self.data / "stickers"
        with PartialState().main_process_first():
            return load_stickers(folder if folder.is_dir() else self.data, self.out / "cache")

    def new(self, kind: type[AnyNetwork], component: str | None = None) -> AnyNetwork:
        """A network to train: from `init` if it holds the component, else with random weights."""
        name = component or kind.component
        if self.init is not None and (self.init / name).is_dir():
            return kind.from_pretrained(self.init / name)
        return kind(**(self.sizes or {}).get(name, {}))

    def trained(self, kind: type[AnyNetwork], component: str | None = None) -> AnyNetwork:
        """An earlier recipe's result, on the device: from `out`, else from weights/.

        Raises:
            WeightsError: neither holds it.
        """
        return kind.from_pretrained(self._find(component or kind.component)).to(self.device)

    def _find(self, name: str) -> Path:
        for folder in (self.out, WEIGHTS / self.model):
            if (folder / name).exists():
                return folder / name
        raise WeightsError(
            f"{name} is neither in {self.out} nor in {WEIGHTS / self.model}; run the recipe that makes it first"
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._find("tokenizer.json")))

    @cached_property
    def captions(self) -> CaptionTable:
        return encode_captions(self.stickers, self.trained(TextEncoder), self.tokenizer, self.device)

    def latents(self, movements: int = 6) -> LatentSet:
        """The sticker set encoded, from the cache if an earlier run left it there."""
        cached = self.out / "cache" / "latents.safetensors"
        with PartialState().main_process_first():
            if not cached.is_file():
                encoder = self.trained(Encoder)
                LatentSet(encode_pictures(self.stickers, encoder, movements, self.device), self.captions).save(cached)
            return LatentSet.load(cached, self.device)

    def perceptual(self) -> PerceptualLoss | None:
        """ImageNet features for the perceptual loss; None if the data folder has no `imagenet/`."""
        features = self.data / "imagenet" / "squeezenet1_1.safetensors"
        return PerceptualLoss.from_file(features).to(self.device) if features.is_file() else None


@dataclass(frozen=True)
class Recipe:
    """How a component is made: a task, the settings it was tuned with, and whether it needs a teacher."""

    name: str
    makes: str  # the component, a folder below the run's and below weights/
    task: Callable[[Workspace], Task]
    settings: RunSettings
    distils: bool = False

    def run(self, workspace: Workspace, **overrides: Any) -> Progress:
        """Trains, or goes on training, in `workspace`.out.

        Args:
            workspace: where data and results are.
            overrides: fields of RunSettings that differ from the recipe's.

        Raises:
            ConfigError: an override that RunSettings does not know or accept.
        """
        try:
            settings = replace(self.settings, **overrides)
        except TypeError as error:
            raise ConfigError(f"recipe {self.name}: {error}") from error
        return train(self.task(workspace), settings, workspace.out / self.name, workspace.out)
