"""An adapter that is merged gives the network that it adapts."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft import LoraConfig, get_peft_model  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tiny_networks import examples, results, tiny  # noqa: E402

from mobigen.errors import WeightsError  # noqa: E402
from mobigen.export.lora import merge_adapter  # noqa: E402
from mobigen.export.source import read_source  # noqa: E402
from mobigen.models.denoiser import Denoiser  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402

RANK, ALPHA = 2, 6


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """Of the tiny denoiser's attention, with weights as training might leave them."""
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["qkv", "query"], init_lora_weights=False)
    torch.manual_seed(0)
    get_peft_model(tiny(Denoiser), config).save_pretrained(folder)
    return folder


def test_a_merged_weight_is_the_old_one_and_the_scaled_product(adapter):
    before, merged = tiny(Denoiser), merge_adapter(tiny(Denoiser), adapter)
    parts = load_file(adapter / "adapter_model.safetensors")
    name = "blocks.0.cross_attention.query"
    down, up = (parts[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    wanted = before.get_submodule(name).weight + ALPHA / RANK * up @ down
    torch.testing.assert_close(merged.get_submodule(name).weight, wanted)
    assert type(merged) is Denoiser
    assert set(merged.state_dict()) == set(before.state_dict())
    assert not any(module.training for module in merged.modules())


def test_a_merged_network_is_saved_and_exported_like_any_other(adapter, tmp_path):
    merged = merge_adapter(tiny(Denoiser), adapter)
    merged.save_pretrained(tmp_path / "merged")
    again = read_source("mine", tmp_path / "merged").networks["denoiser"]
    torch.testing.assert_close(results(again, examples(again)), results(merged, examples(merged)))


def test_an_export_merges_what_it_is_given_and_its_hash_tells(adapter, tmp_path):
    tiny(Denoiser).save_pretrained(tmp_path / "denoiser")
    plain = read_source("mine", tmp_path)
    adapted = read_source("mine", tmp_path, adapters={"denoiser": adapter})
    assert plain.weights_sha256 != adapted.weights_sha256
    merged = merge_adapter(tiny(Denoiser), adapter)
    torch.testing.assert_close(
        results(adapted.networks["denoiser"], examples(merged)), results(merged, examples(merged))
    )
    with pytest.raises(WeightsError, match="no component decoder"):
        read_source("mine", tmp_path, adapters={"decoder": adapter})


def test_an_adapter_that_does_not_fit_is_refused_in_one_line(adapter, tmp_path):
    with pytest.raises(WeightsError, match="holds no adapter_config"):
        merge_adapter(tiny(Denoiser), tmp_path)
    for network in (tiny(TextEncoder), tiny(Denoiser, dim=32)):
        with pytest.raises(WeightsError, match=f"does not fit {network.component}") as caught:
            merge_adapter(network, adapter)
        assert "\n" not in str(caught.value)
