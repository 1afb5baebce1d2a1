"""What a recipe is, and the workspace in which it finds data, earlier results and caches."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from tokenizers import Tokenizer
from torch import Tensor

from mobigen.data.latents import LatentSet, encode_captions, encode_pictures
from mobigen.data.masks import MaskSet, load_masks
from mobigen.data.photos import PhotoCrops, load_photos
from mobigen.data.related import keywords_by_name, nearest_names, related_words
from mobigen.data.shards import read_shards
from mobigen.data.stickers import StickerSet, load_overlays, load_stickers
from mobigen.data.words import common_words
from mobigen.distill.sentence import teacher_embeddings
from mobigen.errors import ConfigError, MissingExtraError, WeightsError
from mobigen.models.autoencoder import Encoder
from mobigen.models.network import Network
from mobigen.models.text_encoder import TextEncoder
from mobigen.registry import model_folders
from mobigen.train.evaluate import UNSEEN_WORDS
from mobigen.train.loop import Progress, RunSettings, train
from mobigen.train.perceptual import PerceptualLoss
from mobigen.train.task import Task

__all__ = ["Recipe", "Workspace"]

AnyNetwork = TypeVar("AnyNetwork", bound=Network)
WORDS = 60000  # of English, by falling frequency


@dataclass(frozen=True)
class Workspace:
    """Folders of a run.

    data: holds the data sets by name (`stickers/*.tar`, `imagenet/*.safetensors`), or the shards themselves.
    out: takes a folder a component, and a folder a recipe with its checkpoint and log; caches go to `out`/cache.
    init: a folder of components to start from instead of from random weights, or None.
    model: the name of the weights where components that `out` lacks are found.
    sizes: keyword arguments of networks that are made new, by component; for small trials.
    counts: how many of what a recipe makes for itself, by name, where the recipe's own number is too many; likewise.
    draws: samples that the run's steps take, in all processes; None where the clock ends it.
    image_size: pixels a side of the stickers, as the autoencoder takes them.
    photo_size: pixels a side of the photos with label maps, as the segmenters take them.
    """

    data: Path
    out: Path
    init: Path | None = None
    model: str = "sticker"
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    draws: int | None = None
    image_size: int = 256
    photo_size: int = 512

    @property
    def processes(self) -> PartialState:
        """Those of this run, as accelerate launched them; if on processors, it has to be told again."""
        return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))

    @property
    def device(self) -> torch.device:
        """This process's."""
        return self.processes.device

    def tell(self, line: str) -> None:
        """Prints a line on standard error, once for all processes."""
        if self.processes.is_main_process:
            print(line, file=sys.stderr, flush=True)

    @property
    def cache(self) -> Path:
        """A folder for what can be made again; who fills it makes it."""
        return self.out / "cache"

    @cached_property
    def stickers(self) -> StickerSet:
        """The sticker set, decoded by the main process, or earlier; related words are among its captions."""
        related = self.related_words
        with self.processes.main_process_first():
            return load_stickers(self._sticker_folder, self.cache, size=self.image_size, related=related)

    @property
    def originals(self) -> StickerSet:
        """The stickers in their own colours, with captions of names and keywords alone: for the judge, whose scores
        should not depend on the words that training adds."""
        with self.processes.main_process_first():
            return load_stickers(
                self._sticker_folder, self.cache / "originals", recoloured=0, captions_each=8, size=self.image_size
            )

    @property
    def _sticker_folder(self) -> Path:
        folder = self.data / "stickers"
        return folder if folder.is_dir() else self.data

    @cached_property
    def english(self) -> list[str]:
        """Common words, by falling frequency."""
        return common_words(self.counts.get("words", WORDS))

    @cached_property
    def keywords(self) -> dict[str, set[str]]:
        """Of the stickers, by clean name."""
        return keywords_by_name(sample.record for sample in read_shards(self._sticker_folder))

    @cached_property
    def related_words(self) -> dict[str, list[str]]:
        """Words that can stand for a sticker's name, by name, found by the main process, or earlier; none, and a line
        that says so, where the sentence teacher is not installed."""
        cached = self.cache / "related_words.json"
        with self.processes.main_process_first():
            try:
                if not cached.is_file():
                    self._find_related_words(cached)
            except MissingExtraError as error:
                self.tell(f"captions hold no related words: {error}")
                return {}
            return dict(json.loads(cached.read_text()))

    def _find_related_words(self, cached: Path) -> None:
        names = sorted(self.keywords)
        words = list(dict.fromkeys([*self.english, *sorted(set().union(*self.keywords.values()))]))
        related = related_words(nearest_names(words, names, teacher_embeddings), self.keywords, UNSEEN_WORDS)
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(".partial")
        partial.write_text(json.dumps(related, ensure_ascii=False, indent=1))
        partial.replace(cached)

    @property
    def overlays(self) -> Tensor | None:
        """The stickers as they are laid over photos, (N, h, w, 4) of uint8; None if the data folder has none."""
        with self.processes.main_process_first():
            return load_overlays(self.data, self.cache, min(self.image_size, 192))

    @cached_property
    def masks(self) -> MaskSet:
        """The photos with label maps, decoded by the main process, or earlier."""
        folder = self.data / "masks"
        with self.processes.main_process_first():
            return load_masks(folder if folder.is_dir() else self.data, self.cache, size=self.photo_size)

    @cached_property
    def photos(self) -> PhotoCrops:
        """The photos for super-resolution, decoded by the main process, or earlier."""
        folder = self.data / "photos-hr-train"
        return self._crops([folder if folder.is_dir() else self.data], self.cache)

    def small_photos(self, smallest: int) -> PhotoCrops | None:
        """Photos of everyday things, and those with label maps, that have `smallest` pixels a side, decoded likewise;
        None, and a line that says so, if the data folder has neither."""
        folders = [folder for folder in (self.data / "photos", self.data / "masks") if folder.is_dir()]
        if not folders:
            self.tell(f"crops are of large photos alone: {self.data} has neither photos/ nor masks/")
            return None
        return self._crops(folders, self.cache / "small", smallest)

    def _crops(self, folders: Sequence[Path], cache: Path, smallest: int = 1) -> PhotoCrops:
        with self.processes.main_process_first():
            photos = load_photos(folders, cache, smallest)
        return PhotoCrops(photos, self.device)

    def new(
        self,
        kind: type[AnyNetwork],
        component: str | None = None,
        stand_in: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> AnyNetwork:
        """A network to train: with random weights, or those that `init` holds under its name or its stand-in's.

        `config` are the keyword arguments of a new one, where they are not the defaults.

        Raises:
            WeightsError: `init` was given and holds neither.
        """
        names = [component or kind.component, *([stand_in] if stand_in else [])]
        if self.init is None:
            return kind(**{**(config or {}), **self.sizes.get(names[0], {})})
        for name in names:
            if (self.init / name).is_dir():
                return kind.from_pretrained(self.init / name)
        raise WeightsError(f"{self.init} holds no {' or '.join(names)} to start from; leave --init out to start afresh")

    def trained(self, kind: type[AnyNetwork], component: str | None = None) -> AnyNetwork:
        """An earlier recipe's result, on the device: from `out`, else from weights/.

        Raises:
            WeightsError: neither holds it.
        """
        return kind.from_pretrained(self._find(component or kind.component)).to(self.device)

    def find(self, name: str) -> Path | None:
        """A component or a file: an earlier recipe's in `out`, else that in weights/, else None."""
        places = (folder / name for folder in (self.out, *model_folders(self.model)))
        return next((place for place in places if place.exists()), None)

    def _find(self, name: str) -> Path:
        if found := self.find(name):
            return found
        places = ", ".join(map(str, model_folders(self.model)))
        raise WeightsError(f"{name} is neither in {self.out} nor in {places}; run the recipe that makes it first")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Of the text encoder."""
        return Tokenizer.from_file(str(self._find("tokenizer.json")))

    def latents(self, movements: int = 6) -> LatentSet:
        """The sticker set encoded, from the cache if an earlier run left it there with the same encoders."""
        cached, stickers = self.cache / "latents.safetensors", self.stickers
        made_from = self._digest(movements)
        with self.processes.main_process_first():
            if not LatentSet.was_made_from(cached, made_from):
                table = encode_captions(stickers, self.trained(TextEncoder), self.tokenizer, self.device)
                pictures = encode_pictures(stickers, self.trained(Encoder), movements, self.device)
                LatentSet(pictures, table).save(cached, made_from)
            return LatentSet.load(cached, self.device)

    def _digest(self, movements: int) -> str:
        """Changes with whatever latents depend on."""
        digest = hashlib.sha256(f"{movements} movements, none mirrored".encode())
        digest.update((self.cache / "stickers.json").read_bytes())
        digest.update(self._find("tokenizer.json").read_bytes())
        for component in (Encoder.component, TextEncoder.component):
            for file in sorted(self._find(component).glob("*.safetensors")):
                digest.update(file.read_bytes())
        return digest.hexdigest()

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
    goes_on: bool = False  # from what an earlier recipe made, so that there is nothing for `init` to begin
    model: str = "sticker"  # whose it is, a folder of weights/
    finish: Callable[[Workspace], None] | None = None  # what else the main process makes at the end

    def run(self, workspace: Workspace, **overrides: Any) -> Progress:
        """Trains, or goes on training, in `workspace`.out.

        Args:
            workspace: where data and results are.
            overrides: fields of RunSettings that differ from the recipe's.

        Raises:
            ConfigError: an override that RunSettings does not know or accept; or an `init` that would not be used.
            InputError: data that cannot be used.
            WeightsError: an earlier recipe's result that is missing or damaged.
        """
        if self.goes_on and workspace.init is not None:
            raise ConfigError(f"{self.name} goes on from what is in --out, or else in weights/; leave --init out")
        try:
            settings = replace(self.settings, **overrides)
        except TypeError as error:
            raise ConfigError(f"recipe {self.name}: {error}") from error
        if settings.max_train_steps is not None:
            a_step = settings.train_batch_size * workspace.processes.num_processes
            workspace = replace(workspace, draws=settings.max_train_steps * a_step)
        torch.manual_seed(settings.seed)  # of the weights that the task makes
        progress = train(self.task(workspace), settings, workspace.out / self.name, workspace.out)
        if self.finish is not None and workspace.processes.is_main_process:
            self.finish(workspace)
        return progress
