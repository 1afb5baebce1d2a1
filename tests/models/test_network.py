"""What holds for every network: files, contract, float16, budget."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_networks import KINDS, examples, results, tiny
from tiny_super_resolution import UPSCALERS

from mobigen.errors import ConfigError, WeightsError
from mobigen.models import NETWORKS
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.network import SHARD_SIZE, load_network, network_class
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.models.squeezesam import SqueezeSAM
from mobigen.models.syenet import SYENet
from mobigen.models.text_encoder import TextEncoder

MEASURING = (Encoder, ImageEncoder, ClickDecoder, SqueezeSAM, SYENet)  # their batch norms measure in training
every_network = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# --- files --------------------------------------------------------------------------------------------------


@every_network
def test_a_network_comes_back_from_its_folder(kind, tmp_path):
    network = tiny(kind)
    network.save_pretrained(tmp_path / "here")
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"config.json", "model.safetensors"}
    again = kind.from_pretrained(tmp_path / "here")
    assert not again.training
    for mine, theirs in zip(results(network, examples(network)), results(again, examples(network)), strict=True):
        assert torch.equal(mine, theirs)


@every_network
def test_a_component_is_stored_in_float16_and_read_in_float32(kind, tmp_path):
    network = tiny(kind)
    network.save_component(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [kind.component]
    stored = load_file(tmp_path / kind.component / "model.safetensors")
    assert all(value.dtype == torch.float16 for value in stored.values() if value.is_floating_point())
    again = kind.from_pretrained(tmp_path / kind.component)
    for name, value in network.state_dict().items():
        assert again.state_dict()[name].dtype == value.dtype
        torch.testing.assert_close(again.state_dict()[name], value.half().to(value.dtype), rtol=0, atol=0)


def test_a_component_replaces_an_earlier_one_as_a_whole(tmp_path):
    tiny(Decoder).save_component(tmp_path, "small")
    (tmp_path / "small" / "left.txt").write_text("over")
    (tmp_path / "small.partial").mkdir()
    (tmp_path / "small.partial" / "left.txt").write_text("from an interrupted run")
    tiny(Decoder, seed=1).save_component(tmp_path, "small")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config.json", "model.safetensors", "small"]


def test_a_card_that_a_person_wrote_stays(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    tiny(Decoder).save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="permissions are Unix's")
@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_weights_have_the_permissions_of_any_new_file(mask, tmp_path):
    before = os.umask(mask)
    try:
        tiny(Decoder).save_component(tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "decoder").iterdir()} == {0o666 & ~mask}


def test_large_networks_are_stored_in_several_files(tmp_path):
    network = Denoiser()
    network.save_component(tmp_path)
    files = sorted((tmp_path / "denoiser").glob("*.safetensors"))
    assert len(files) == 2
    assert max(path.stat().st_size for path in files) < SHARD_SIZE * 1.01  # and a header
    again = Denoiser.from_pretrained(tmp_path / "denoiser")
    torch.testing.assert_close(again.position, network.position.half().float(), rtol=0, atol=0)


@every_network
def test_a_folder_says_which_network_it_holds(kind, tmp_path):
    tiny(kind).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["_class_name"] == kind.__name__
    assert network_class(tmp_path) is kind
    assert isinstance(load_network(tmp_path), kind)


@pytest.mark.parametrize("name", [None, "Soup", 7])
def test_a_folder_of_no_known_network_is_refused(name, folder):
    edit_config(folder, _class_name=name)
    with pytest.raises(WeightsError, match=r"_class_name.*known: .*Decoder"):
        load_network(folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match="holds no network"):
        load_network(folder)


def test_every_network_is_in_the_table():
    assert set(NETWORKS) == {kind.__name__ for kind in KINDS}


def test_reading_draws_no_random_numbers(tmp_path):
    tiny(Decoder).save_pretrained(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    Decoder.from_pretrained(tmp_path)
    assert torch.equal(torch.rand(2), expected)


@pytest.fixture(scope="module")
def decoder_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny(Decoder).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(decoder_folder, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(decoder_folder, tmp_path / "decoder")


def edit_weights(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors")


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


DAMAGE = {
    "a missing key": lambda folder: edit_weights(folder, lambda weights: weights.pop("entry.bias")),
    "a key too many": lambda folder: edit_weights(folder, lambda weights: weights.update(extra=torch.zeros(1))),
    "a wrong shape": lambda folder: edit_weights(
        folder, lambda weights: weights.update({"entry.bias": torch.zeros(3)})
    ),
    "another width": lambda folder: edit_config(folder, widths=[10, 8, 8]),
    "another network's config": lambda folder: edit_config(folder, heads=2),
    "another network's name": lambda folder: edit_config(folder, _class_name="Denoiser"),
    "a config that is no object": lambda folder: (folder / "config.json").write_text("[]"),
    "a width of another type": lambda folder: edit_config(folder, widths="wide"),
    "too few widths": lambda folder: edit_config(folder, widths=[10, 8]),
    "a truncated file": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-100]
    ),
    "not a safetensors file": lambda folder: (folder / "model.safetensors").write_bytes(b"soup"),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "a broken config": lambda folder: (folder / "config.json").write_text("{"),
    "nothing": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_weights_are_refused_in_one_line(folder, damage):
    damage(folder)
    with pytest.raises(WeightsError, match="Decoder") as caught:
        Decoder.from_pretrained(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [Encoder, Denoiser, TextEncoder])
def test_weights_of_another_network_are_refused(decoder_folder, kind):
    with pytest.raises(WeightsError, match=f"holds a Decoder, not a {kind.__name__}"):
        kind.from_pretrained(decoder_folder)


@pytest.mark.parametrize("kind", [Encoder, Denoiser, TextEncoder])
def test_weights_of_another_network_are_refused_without_its_name_too(folder, kind):
    config = json.loads((folder / "config.json").read_text())
    del config["_class_name"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=f"do not fit {kind.__name__}"):
        kind.from_pretrained(folder)


# --- contract -----------------------------------------------------------------------------------------------


@every_network
def test_the_signature_is_what_forward_takes_and_gives(kind):
    network = tiny(kind)
    signature, inputs = network.signature(), examples(network)
    assert signature.component == kind.component
    assert list(inputs) == [spec.name for spec in signature.inputs]
    outputs = results(network, inputs)
    tensors = (*inputs.values(), *outputs)
    for spec, tensor in zip((*signature.inputs, *signature.outputs), tensors, strict=True):
        assert tuple(tensor.shape) == spec.shape
        assert str(tensor.dtype) == f"torch.{spec.dtype}"
        assert spec.low is None or tensor.min() >= spec.low - 1e-5
        assert spec.high is None or tensor.max() <= spec.high + 1e-5


@every_network
def test_every_input_matters(kind):
    network = tiny(kind)
    first, second = examples(network), examples(network, seed=1)
    before = results(network, first)
    for name in first:
        changed = {**first, name: 1 - first[name] if name in ("style", "text_mask") else second[name]}
        after = results(network, changed)
        assert any(not torch.allclose(mine, theirs) for mine, theirs in zip(before, after, strict=True)), name


@every_network
def test_pictures_of_a_batch_do_not_mix(kind):
    network = tiny(kind)
    first, second = examples(network), examples(network, seed=1)
    together = results(network, {name: torch.cat([first[name], second[name]]) for name in first})
    for both, one in zip(together, results(network, second), strict=True):
        torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in MEASURING])
def test_training_and_evaluation_give_the_same(kind):
    network = tiny(kind)
    for mine, theirs in zip(
        results(network, examples(network)), results(network.train(), examples(network)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


# --- float16 ------------------------------------------------------------------------------------------------

LARGE = {"latent": 30.0, "text_states": 100.0}  # times; other inputs cannot be large


def decibels(result, reference):
    error = (result.float() - reference).square().mean()
    return 10 * torch.log10(reference.abs().max() ** 2 / error.clamp(min=1e-30))


@every_network
@pytest.mark.parametrize("large", [False, True], ids=["usual", "large"])
def test_float16_is_finite_and_close(kind, large):
    network = tiny(kind)
    inputs = {
        name: value * LARGE.get(name, 1.0) if large and value.is_floating_point() else value
        for name, value in examples(network).items()
    }
    reference = results(network, inputs)
    halved = {name: value.half() if value.is_floating_point() else value for name, value in inputs.items()}
    for result, wanted in zip(results(network.half(), halved), reference, strict=True):
        assert torch.isfinite(result).all()
        assert decibels(result, wanted) > 40


def real_size(kind, **changes):
    """A network of the default size, each layer with weights that keep the size of what goes through."""
    network, generator = kind(**changes), torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5, generator=generator)
    return network.eval()


@pytest.mark.parametrize(("kind", "changes"), [(TextEncoder, {}), (Denoiser, {}), (Decoder, {"image_size": 96})])
def test_what_ships_is_finite_and_close_in_float16_at_its_real_size(kind, changes):
    network = real_size(kind, **changes)
    inputs = {name: value * (5.0 if name in LARGE else 1) for name, value in examples(network).items()}
    reference = results(network, inputs)
    halved = {name: value.half() if value.is_floating_point() else value for name, value in inputs.items()}
    for result, wanted in zip(results(network.half(), halved), reference, strict=True):
        assert torch.isfinite(result).all()
        assert decibels(result, wanted) > 40


# --- budgets ------------------------------------------------------------------------------------------------

BUDGETS = {  # parameters at the default size: at most, and what the documentation says in millions
    TextEncoder: (4e6, 3.7), Denoiser: (16e6, 15.2), Decoder: (4e6, 3.4), Encoder: (6e6, 5.7),
    TeacherDecoder: (14e6, 13.0), DualEncoder: (4e6, 3.6),
    ImageEncoder: (3e6, 2.2), ClickDecoder: (1e6, 0.2), SqueezeSAM: (10.2e6, 10.2),
}  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UPSCALERS])  # which are counted exactly
def test_the_default_size_is_within_its_budget(kind):
    most, stated = BUDGETS[kind]
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in kind().parameters())
    assert count <= most
    assert round(count / 1e6, 1) == stated


# --- configurations that cannot work ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Denoiser, TextEncoder])
def test_heads_that_do_not_divide_the_width(kind):
    with pytest.raises(ConfigError, match="dim 16 is not a multiple of heads 3"):
        tiny(kind, heads=3)


@pytest.mark.parametrize("kind", [Encoder, TeacherDecoder, Decoder])
@pytest.mark.parametrize("widths", [(8, 8), (8, 8, 8, 8)])
def test_an_autoencoder_has_three_levels(kind, widths):
    with pytest.raises(ConfigError, match="3 levels"):
        tiny(kind, widths=widths)
