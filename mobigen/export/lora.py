"""LoRA adapters (Hu et al., arXiv 2106.09685), as peft saves them: merged into a network before it is exported."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from mobigen.errors import MissingExtraError, WeightsError
from mobigen.export.quiet import quiet
from mobigen.models.network import Network

__all__ = ["merge_adapter"]


def merge_adapter(network: Network, adapter: Path) -> Network:
    """The network with W + (alpha / r) B A in place of each adapted W: the same graph, no slower.

    Args:
        network: the one that the adapter was trained on; it is changed.
        adapter: a folder of peft's `save_pretrained`: adapter_config.json and adapter_model.safetensors.

    Raises:
        WeightsError: the folder is missing or damaged, or does not fit the network.
        MissingExtraError: peft is not installed.
    """
    if not (adapter / "adapter_config.json").is_file():  # or peft would look for it on a hub
        raise WeightsError(f"{adapter} holds no adapter_config.json; give a folder of peft's save_pretrained")
    with quiet():
        try:
            from peft import PeftModel, get_peft_model_state_dict
        except ImportError as error:
            raise MissingExtraError("merging a LoRA needs: pip install 'mobigen[export]'") from error
        try:
            stored = load_file(adapter / "adapter_model.safetensors")
            adapted = PeftModel.from_pretrained(network, str(adapter))
            if set(get_peft_model_state_dict(adapted)) != set(stored):  # peft passes over what finds no place
                raise ValueError(f"it has {len(stored)} weights, not all of them have a place there")
            return adapted.merge_and_unload(safe_merge=True).eval()
        except Exception as error:  # peft raises whatever torch and safetensors raise
            reason = " ".join(str(error).split())
            raise WeightsError(f"the adapter in {adapter} does not fit {network.component}: {reason}") from error
