"""torch: runs the networks themselves, from weights/<model>/<component>; for research and for comparisons.

The only file of the runtime half that imports torch or the networks.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from mobigen.bundle import Bundle
from mobigen.errors import MissingExtraError, WeightsError
from mobigen.registry import model_folders
from mobigen.runtime import Component, check_inputs
from mobigen.signature import Signature, TensorSpec

try:
    import torch

    from mobigen.models.network import Network, load_network
except ImportError as error:
    raise MissingExtraError("the torch backend needs torch; run: pip install mobigen[train]") from error

__all__ = ["TorchComponent", "find_weights", "load"]


def load(
    bundle: Bundle, name: str, threads: int | None = None, weights: str | PathLike[str] | None = None
) -> Component:
    """The network of a bundle's component.

    Raises:
        WeightsError: there are no such weights, or they are not those of the bundle's component.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    network = load_network(find_weights(bundle.metadata.name, name, weights))
    return TorchComponent(network, bundle.signature(name))


def find_weights(model: str, component: str, weights: str | PathLike[str] | None = None) -> Path:
    """The weights folder of a component.

    It is looked for below `weights` if that is given, or else below $MOBIGEN_WEIGHTS/<model> and the
    checkout's weights/<model>.

    Raises:
        WeightsError: none of them has a config.json for the component.
    """
    places = [Path(weights)] if weights is not None else model_folders(model)
    for place in places:
        if (place / component / "config.json").is_file():
            return place / component
    raise WeightsError(
        f"no weights of {component} in {', '.join(map(str, places))}; work in a checkout of mobigen, "
        "set MOBIGEN_WEIGHTS, or give a folder written by save_pretrained"
    )


class TorchComponent:
    """A network in evaluation mode, called with NumPy arrays."""

    def __init__(self, network: Network, signature: Signature) -> None:
        """Wrap `network`. Raises WeightsError if it is not the one that `signature` describes."""
        own, bundled = _describe(network.signature().inputs), _describe(signature.inputs)
        if own != bundled:
            raise WeightsError(
                f"the weights of {signature.component} take {own}, the bundle's graph {bundled}; "
                "export these weights, or use the ones that the bundle was made from"
            )
        self.signature = signature
        self._network = network.eval()

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network. Raises InputError on arrays that do not fit the signature."""
        check_inputs(self.signature, inputs)
        with torch.inference_mode():
            results = self._network(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        outputs = results if isinstance(results, tuple) else (results,)
        return {spec.name: each.numpy() for spec, each in zip(self.signature.outputs, outputs, strict=True)}


def _describe(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {spec.shape}" for spec in specs)
