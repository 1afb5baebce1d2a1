"""The class every network derives from: config.json and safetensors on disk, and an export contract."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from huggingface_hub import PyTorchModelHubMixin, load_torch_model, save_torch_model
from safetensors import SafetensorError
from torch import Tensor, nn

from mobigen.errors import ConfigError, WeightsError
from mobigen.signature import Signature

__all__ = ["Network", "check_heads"]

SHARD_SIZE = 16 * 10**6  # bytes; git hosts and phones both prefer small files
AnyNetwork = TypeVar("AnyNetwork", bound="Network")


class Network(nn.Module, PyTorchModelHubMixin):
    """A plain module whose annotated keyword arguments are its config.

    `save_pretrained` writes config.json and model.safetensors, sharded above 16 MB; `from_pretrained` reads both.
    """

    component: ClassVar[str]

    def signature(self) -> Signature:
        """What this network exports."""
        raise NotImplementedError

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Random inputs that fit `signature()`, in its order."""
        raise NotImplementedError

    def at_size(self: AnyNetwork, size: int) -> AnyNetwork:
        """The same network, sharing these parameters, for pictures of another `size`, in pixels a side.

        Raises:
            ConfigError: it is made for one size, or cannot do this one.
        """
        raise ConfigError(f"{self.component} is made for one size; only fully convolutional networks have others")

    def save_component(self, folder: Path, name: str | None = None) -> None:
        """Writes `folder`/<component>, or /`name`, with float16 weights, as weights/ holds them; self stays as it is.

        The folder is written beside its place and renamed when whole.
        """
        target = folder / (name or self.component)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        copy.deepcopy(self).half().save_pretrained(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """As the mixin's, without its README.md: weights/<model>/README.md is the card of all components."""
        card = Path(save_directory) / "README.md"
        known = card.exists()
        address = super().save_pretrained(save_directory, **options)
        if not known:
            card.unlink()
        return address

    def _save_pretrained(self, save_directory: Path) -> None:
        save_torch_model(self, str(save_directory), max_shard_size=SHARD_SIZE, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(  # type: ignore[override]  # reads folders only: nothing here is fetched from a hub
        cls: type[AnyNetwork], folder: str | Path, map_location: str = "cpu"
    ) -> AnyNetwork:
        """Reads what `save_pretrained` wrote, strictly, in float32 and evaluation mode; draws no random numbers.

        Raises:
            WeightsError: the folder is missing or damaged, or holds another network.
        """
        try:
            config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
            with torch.random.fork_rng(devices=[]):  # the weights at random are overwritten at once
                network = cls(**config)
            load_torch_model(network, folder, strict=True, safe=True, map_location=map_location)
        except FileNotFoundError as error:
            raise WeightsError(f"no weights of {cls.__name__} in {folder}; give a folder of save_pretrained") from error
        except (ConfigError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"weights in {folder} do not fit {cls.__name__}: {reason}") from error
        return network.eval()


def check_heads(dim: int, heads: int) -> None:
    """Raises ConfigError if `dim` channels cannot be shared out among `heads` of attention."""
    if dim % heads:
        raise ConfigError(f"dim {dim} is not a multiple of heads {heads}; choose one that is")
