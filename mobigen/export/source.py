"""What an export starts from: a model's weights folder, read and checked before the slow part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobigen.errors import BundleError, ExportError, WeightsError
from mobigen.export.inputs import Arrays, check_fit, record_inputs
from mobigen.export.metadata import CREDITS, PIPELINE, TOKENIZER, ModelCard, describe_bundle, read_card
from mobigen.metadata import REPAIR, Artefact, TextToImageSettings, read_metadata
from mobigen.models.network import Network
from mobigen.runtime.torch import TorchComponent, find_weights, load_network

__all__ = ["Source", "gather_weights", "read_source"]


@dataclass(frozen=True)
class Source:
    """The networks of a model, which fit each other and its constants."""

    networks: Mapping[str, Network]
    card: ModelCard
    settings: TextToImageSettings
    tokenizer: Path

    def components(self) -> dict[str, TorchComponent]:
        """The networks, to be called with arrays."""
        return {name: TorchComponent(network, network.signature()) for name, network in self.networks.items()}

    def record(self, prompts: Sequence[str]) -> dict[str, list[Arrays]]:
        """What each component receives while the networks draw these prompts."""
        return record_inputs(self.components(), self.settings, self.tokenizer, prompts)


def read_source(name: str, weights: Path, components: Iterable[str]) -> Source:
    """Read a model's weights folder.

    Args:
        name: a registered name.
        weights: <component>/{config.json, *.safetensors}, tokenizer.json, pipeline.json and credits.json.
        components: those that are to be exported.

    Raises:
        WeightsError: a file is missing or damaged.
        ExportError: the constants of pipeline.json or credits.json cannot work, or do not fit the networks.
    """
    networks = {each: load_network(each, find_weights(name, each, weights)) for each in components}
    card = read_card(name, weights, networks)
    settings = _check_card(card, networks, weights)
    check_fit(settings, {each: network.signature() for each, network in networks.items()}, weights / TOKENIZER)
    return Source(networks, card, settings, weights / TOKENIZER)


@contextmanager
def gather_weights(folders: Sequence[Path], components: Iterable[str]) -> Iterator[Path]:
    """Several weights folders as one: what was trained here in front, what it was trained beside behind.

    Args:
        folders: at least one; a single one is given back as it is.
        components: names of the component folders that are needed.

    Raises:
        WeightsError: a component or a file is in none of the folders.
    """
    if len(folders) == 1:
        yield folders[0]
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in (*components, TOKENIZER, PIPELINE, CREDITS):
            _copy_first(name, folders, Path(scratch))
        yield Path(scratch)


def _copy_first(name: str, folders: Sequence[Path], target: Path) -> None:
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise WeightsError(f"{name} is in none of {', '.join(map(str, folders))}; give the folder that has it as well")
    if found.is_dir():
        shutil.copytree(found, target / name)
    else:
        shutil.copyfile(found, target / name)


def _check_card(card: ModelCard, networks: Mapping[str, Network], weights: Path) -> TextToImageSettings:
    """Read metadata.json as it is going to be, with graphs that are not made yet."""
    signatures = {each: network.signature() for each, network in networks.items()}
    planned = {each: Artefact("planned", "float32", 1, "", 0.0) for each in networks}
    try:
        return read_metadata(describe_bundle(card, signatures, planned, {}), str(weights)).settings
    except BundleError as error:
        raise ExportError(f"{str(error).removesuffix(f'; {REPAIR}')}; correct it and export again") from error
