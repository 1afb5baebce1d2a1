"""The class every network derives from: config.json and safetensors on disk, and an export contract."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import PyTorchModelHubMixin, load_torch_model, save_torch_model
from torch import Tensor, nn

from mobigen.errors import WeightsError
from mobigen.signature import Signature

__all__ = ["Network"]

SHARD_SIZE = 16 * 10**6  # bytes; git hosts and phones both prefer small files


class Network(nn.Module, PyTorchModelHubMixin):
    """A plain module whose annotated keyword arguments are its config.

    `save_pretrained` writes config.json and model.safetensors, sharded above 16 MB; `from_pretrained` reads them strictly.
    """

    component: ClassVar[str]

    def signature(self) -> Signature:
        """What this network exports."""
        raise NotImplementedError

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Random inputs that fit `signature()`, in its order."""
        raise NotImplementedError

    def save_component(self, folder: Path, name: str | None = None) -> None:
        """Writes `folder`/<component>, or /`name`, with float16 weights, as weights/ holds them; self stays as it is."""
        copy.deepcopy(self).half().save_pretrained(folder / (name or self.component))

    def _save_pretrained(self, save_directory: Path) -> None:
        save_torch_model(self, str(save_directory), max_shard_size=SHARD_SIZE, metadata={"format": "pt"})

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, **kwargs: Any
    ) -> Network:  # type: ignore[override]
        folder = Path(model_id)
        if not folder.is_dir():
            raise WeightsError(f"no weights folder {folder}; give a folder written by save_pretrained")
        for hub_option in (
            "revision",
            "cache_dir",
            "force_download",
            "proxies",
            "resume_download",
            "local_files_only",
            "token",
        ):
            kwargs.pop(hub_option, None)
        network = cls(**kwargs)
        try:
            load_torch_model(network, folder, strict=True, safe=True, map_location=map_location)
        except (RuntimeError, ValueError, OSError) as error:
            raise WeightsError(f"weights in {folder} do not fit {cls.__name__}: {error}") from error
        return network.eval()
