"""The class every network derives from: config.json and safetensors on disk, and an export contract."""

from __future__ import annotations

import copy
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from huggingface_hub import PyTorchModelHubMixin, save_torch_state_dict
from safetensors import SafetensorError
from torch import Tensor, nn

from mobigen.errors import ConfigError, WeightsError
from mobigen.models import NETWORKS
from mobigen.models.packing import on_grid, packed, read_weights
from mobigen.signature import Signature

__all__ = ["Network", "check_heads", "load_network", "network_class", "read_config"]

CLASS_KEY = "_class_name"  # in config.json, as diffusers writes it
SHARD_SIZE = 16 * 10**6  # bytes; git hosts and phones both prefer small files
AnyNetwork = TypeVar("AnyNetwork", bound="Network")


class Network(nn.Module, PyTorchModelHubMixin):
    """A plain module whose annotated keyword arguments are its config.

    `save_pretrained` writes config.json, which names the class, and model.safetensors, sharded above 16 MB, in which
    weights rounded to 8 bits (`snap_weights`) take 8 bits; `from_pretrained` reads both, and `load_network` finds the
    class by itself.
    """

    component: ClassVar[str]

    def signature(self) -> Signature:
        """What this network exports."""
        raise NotImplementedError

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Random inputs that fit `signature()`, in its order."""
        raise NotImplementedError

    def fuse(self) -> Network:
        """The deploy form, which computes the same in evaluation mode with fewer parts; itself if nothing folds."""
        return self

    def at_size(self: AnyNetwork, size: int) -> AnyNetwork:
        """The same network, sharing these parameters, for pictures of another `size`, in pixels a side.

        Raises:
            ConfigError: it is made for one size, or cannot do this one.
        """
        raise ConfigError(f"{self.component} is made for one size; only fully convolutional networks have others")

    def save_component(self, folder: Path, name: str | None = None) -> None:
        """Writes `folder`/<component>, or /`name`, as weights/ holds them: in float16 or, rounded to 8 bits, in 8.

        Self stays as it is. The folder is written beside its place and renamed when whole.
        """
        target = folder / (name or self.component)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        stored = copy.deepcopy(self)
        for tensor in (*stored.parameters(), *stored.buffers()):
            if tensor.is_floating_point() and not on_grid(tensor):
                tensor.data = tensor.data.half()
        stored.save_pretrained(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """As the mixin's, with the class in config.json and without its README.md: weights/<model> has one card."""
        card, config = Path(save_directory, "README.md"), Path(save_directory, "config.json")
        known = card.exists()
        address = super().save_pretrained(save_directory, **options)
        if not known:
            card.unlink()
        values = {CLASS_KEY: type(self).__name__, **json.loads(config.read_text(encoding="utf-8"))}
        config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        for weights in config.parent.glob("*.safetensors"):
            shutil.copymode(config, weights)  # which safetensors lets none but its owner read
        return address

    def _save_pretrained(self, save_directory: Path) -> None:
        weights = packed(self.state_dict())
        save_torch_state_dict(weights, str(save_directory), max_shard_size=SHARD_SIZE, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(  # type: ignore[override]  # reads folders only: nothing here is fetched from a hub
        cls: type[AnyNetwork], folder: str | Path, map_location: str = "cpu"
    ) -> AnyNetwork:
        """Reads what `save_pretrained` wrote, strictly, in float32 and evaluation mode; draws no random numbers.

        Raises:
            WeightsError: the folder is missing or damaged, or holds another network.
        """
        try:
            config = read_config(folder)
            named = config.pop(CLASS_KEY, cls.__name__)
            if named != cls.__name__:
                raise WeightsError(f"{folder} holds a {named}, not a {cls.__name__}")
            with torch.random.fork_rng(devices=[]):  # the weights at random are overwritten at once
                network = cls(**config)
            network.load_state_dict(read_weights(folder, map_location))
        except FileNotFoundError as error:
            raise WeightsError(f"no weights of {cls.__name__} in {folder}; give a folder of save_pretrained") from error
        except (ConfigError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"weights in {folder} do not fit {cls.__name__}: {reason}") from error
        return network.eval()


def read_config(folder: str | Path) -> dict[str, Any]:
    """config.json of a component's folder. Raises OSError, or ValueError if it is not a JSON object."""
    values = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError("config.json is not a JSON object")
    return values


def network_class(folder: str | Path) -> type[Network]:
    """The class that the config.json of a folder written by `save_pretrained` names.

    Raises:
        WeightsError: the folder is missing or damaged, or names no class of NETWORKS.
    """
    try:
        named = read_config(folder).get(CLASS_KEY)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} holds no network ({error}); give a folder of save_pretrained") from error
    if named not in NETWORKS:
        raise WeightsError(
            f'{folder}/config.json names {named or "no class"} as its "{CLASS_KEY}"; known: {", ".join(NETWORKS)}'
        )
    return getattr(import_module(NETWORKS[named]), named)


def load_network(folder: str | Path) -> Network:
    """The network in a folder written by `save_pretrained`. Raises WeightsError."""
    return network_class(folder).from_pretrained(folder)


def check_heads(dim: int, heads: int) -> None:
    """Raises ConfigError if `dim` channels cannot be shared out among `heads` of attention."""
    if dim % heads:
        raise ConfigError(f"dim {dim} is not a multiple of heads {heads}; choose one that is")
