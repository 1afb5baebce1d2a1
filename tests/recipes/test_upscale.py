"""The recipes of super-resolution at tiny size, on drawn photos."""

import json

import pytest
import torch
from tiny_super_resolution import UPSCALERS

from mobigen.data.synthetic import write_synthetic_masks, write_synthetic_photos
from mobigen.errors import InputError
from mobigen.models.mfagan import AggregationGenerator, PatchDiscriminator
from mobigen.models.network import load_network
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.quantization.ranges import learned_layers, read_ranges
from mobigen.recipes import RECIPES, Workspace
from mobigen.recipes.upscale import PLANS

INT8 = ("upscale-x3-int8", "upscale-x3-fast-int8")
PHOTO = ("upscale-x4-photo-pixels", "upscale-x4-photo")
OVERRIDES = {"minutes": None, "train_batch_size": 2, "mixed_precision": "no", "max_train_steps": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_photos(folder / "photos-hr-train", 2, width=80, height=72)
    return folder


def run(name, data, out, kind, **overrides):
    config = dict(UPSCALERS[kind])
    sizes = {"upscaler": config, "discriminator": UPSCALERS[PatchDiscriminator]}
    workspace = Workspace(data, out, sizes=sizes, counts={"crop": 8}, model=RECIPES[name].model)
    return RECIPES[name].run(workspace, **{**OVERRIDES, **overrides})


@pytest.mark.parametrize("name", PLANS)
def test_a_recipe_makes_the_upscaler_it_is_named_after(name, data, tmp_path):
    plan = PLANS[name]
    assert run(name, data, tmp_path, plan.kind).step == 2
    made = load_network(tmp_path / "upscaler")
    assert type(made) is plan.kind
    assert f"-x{made.scale}" in name
    assert all(torch.isfinite(parameter).all() for parameter in made.parameters())
    assert json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


@pytest.mark.parametrize("name", PLANS)
def test_its_network_can_be_made_at_its_own_size(name):
    with torch.device("meta"):
        network = PLANS[name].kind(**PLANS[name].config)
    assert network.config.items() >= PLANS[name].config.items()


def test_the_photo_upscaler_takes_two_recipes(data, tmp_path):
    for name in PHOTO:
        run(name, data, tmp_path, AggregationGenerator)
    assert isinstance(load_network(tmp_path / "upscaler"), AggregationGenerator)
    assert isinstance(load_network(tmp_path / "discriminator"), PatchDiscriminator)


def test_an_int8_upscaler_goes_on_from_its_float_form(data, tmp_path, monkeypatch):
    for place, name in ((tmp_path / "weights" / "upscale-x3", "upscale-x3"), (tmp_path / "int8", "upscale-x3-int8")):
        monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path / "weights"))
        run(name, data, place, PlainUpscaler, learning_rate=1e-6, lr_warmup_steps=0, max_train_steps=3)
    floating, made = (load_network(tmp_path / place / "upscaler") for place in ("weights/upscale-x3", "int8"))
    assert made.config["fused"]
    for mine, theirs in zip(made.parameters(), floating.fuse().parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3)
    layers = learned_layers(made, read_ranges(tmp_path / "int8" / "upscaler"))
    assert len(layers) == sum(isinstance(module, torch.nn.Conv2d) for module in made.modules())
    assert layers[0].ranges.input == (0, 1)
    assert layers[-1].ranges.output == (0, 1)


def test_the_same_seed_makes_the_same_weights(data, tmp_path):
    made = []
    for folder in ("one", "two"):
        run("upscale-x2", data, tmp_path / folder, PLANS["upscale-x2"].kind)
        made.append(load_network(tmp_path / folder / "upscaler"))
    for mine, theirs in zip(*(network.parameters() for network in made), strict=True):
        assert torch.equal(mine, theirs)


def test_small_photos_join_the_crops_where_there_are_some(data, tmp_path, capsys):
    made = {}
    for name, size in (("none", None), ("large enough", 40), ("larger", 48)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "photos-hr-train").symlink_to(data / "photos-hr-train")
        if size is not None:
            write_synthetic_masks(folder / "masks", 2, size=size)
        run("upscale-x2", folder, folder / "out", PlainUpscaler)
        made[name] = load_network(folder / "out" / "upscaler").tail.plain.weight
        assert ("crops are of large photos alone" in capsys.readouterr().err) == (size is None)
    assert not torch.equal(made["none"], made["large enough"])
    assert not torch.equal(made["large enough"], made["larger"])
    write_synthetic_masks(tmp_path / "none" / "masks", 2, size=31)
    with pytest.raises(InputError, match="has 32 pixels a side"):  # (8 + 2 x 4) x 2
        run("upscale-x2", tmp_path / "none", tmp_path / "too small", PlainUpscaler)


def test_every_recipe_is_of_the_model_it_is_named_after():
    names = [name for name in RECIPES if name.startswith(("upscale", "sesr", "xlsr", "abpn", "syenet"))]
    assert set(names) == {*PLANS, *PHOTO, *INT8}
    assert all(RECIPES[name].model == name.removesuffix("-pixels").removesuffix("-int8") for name in names)
    assert all(RECIPES[name].makes == "upscaler" for name in names)
