"""Every recipe at tiny size, one after the other as a person would run them, on drawn stickers."""

import copy
import hashlib
import json
import shutil

import pytest
import tiny_recipes as tiny
import torch
from tokenizers import Tokenizer

from mobigen.errors import ConfigError, MissingExtraError, WeightsError
from mobigen.models.autoencoder import Encoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.text_encoder import TextEncoder
from mobigen.quantization.grid import snap_weights
from mobigen.recipes import RECIPES, Workspace

STEPS = 3  # a turn of each network


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        tiny.make_small(patch)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """What all recipes leave, in the order of the table. Not to be changed: `place` is a copy for that."""
    out = tmp_path_factory.mktemp("run")
    for name in tiny.TOGETHER:
        assert tiny.run(name, data, out, max_train_steps=STEPS).step == STEPS
    return out


@pytest.fixture
def place(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def weights_of(folder):
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.safetensors")))).hexdigest()


def forget(place, name, *caches):
    """Makes a recipe new: neither checkpoint nor these caches are left."""
    shutil.rmtree(place / name)
    for cache in caches:
        (place / "cache" / cache).unlink()


# --- each recipe --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tiny.TOGETHER)
def test_a_recipe_makes_what_it_says(made, name):
    component = RECIPES[name].makes
    network = tiny.KINDS[component].from_pretrained(made / component)
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    assert (made / name / "checkpoint").is_dir()
    assert json.loads((made / name / "log.jsonl").read_text().splitlines()[-1])["step"] == STEPS


def test_nothing_else_is_left(made):
    folders = {path.name for path in made.iterdir()}
    assert folders == {*tiny.TOGETHER, *tiny.KINDS, "cache", "tokenizer.json"}
    assert not list(made.rglob("*.partial"))
    assert not list(made.rglob("README.md"))


@pytest.mark.parametrize("name", tiny.TOGETHER)
def test_the_same_command_makes_the_same_weights(place, data, name, capsys):
    """With the caches that an earlier run left, the seed also gives the same beginning."""
    component = RECIPES[name].makes
    before = weights_of(place / component)
    if component == "denoiser":  # which two recipes make; the second begins with the first's
        tiny.run("sticker-regression", data, place, max_train_steps=STEPS)
        before = None if name == "sticker-regression" else before
    forget(place, name)
    tiny.run(name, data, place, max_train_steps=STEPS)
    first = weights_of(place / component)
    assert before in (first, None)
    if name == "sticker":
        tiny.run("sticker-regression", data, place, max_train_steps=STEPS)
    forget(place, name)
    tiny.run(name, data, place, max_train_steps=STEPS)
    assert weights_of(place / component) == first
    assert f"resumed at step {STEPS}" not in capsys.readouterr().err or component == "denoiser"


def test_another_seed_makes_other_weights(place, data):
    before = weights_of(place / "teacher")
    forget(place, "sticker-teacher")
    tiny.run("sticker-teacher", data, place, max_train_steps=STEPS, seed=1)
    assert weights_of(place / "teacher") != before


def test_a_cold_cache_makes_the_same_weights(place, data):
    before = weights_of(place / "denoiser")
    tiny.run("sticker-regression", data, place, max_train_steps=STEPS)
    forget(place, "sticker", "latents.safetensors", "stickers.json")
    tiny.run("sticker", data, place, max_train_steps=STEPS)
    assert weights_of(place / "denoiser") == before


def test_the_student_comes_with_a_pipeline_that_draws_in_its_steps(place, data):
    guided = {"kind": "euler", "guidance": 3.0, "times": {"8": [1.0, 0.0]}}
    (place / "pipeline.json").write_text(json.dumps({"sampler": guided, "default_steps": 8, "styles": ["3d"]}))
    tiny.run("sticker", data, place, max_train_steps=STEPS)
    sampler = {"kind": "euler", "times": {"1": [1.0, 0.0], "2": [1.0, 0.75, 0.0], "4": [1.0, 0.9, 0.75, 0.5, 0.0]}}
    told = json.loads((place / "pipeline.json").read_text())
    assert told == {"sampler": sampler, "default_steps": 4, "styles": ["3d"]}


def test_the_students_weights_are_on_the_grid_of_their_8_bit_form(made):
    student = Denoiser.from_pretrained(made / "denoiser")
    snapped = copy.deepcopy(student)
    snap_weights(snapped)
    for before, after in zip(student.parameters(), snapped.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-6)


def test_the_text_encoder_knows_the_captions_words(made):
    tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))
    encoder = TextEncoder.from_pretrained(made / "text_encoder")
    assert tokenizer.truncation["max_length"] == encoder.tokens
    assert "pentagon" in tokenizer.get_vocab()
    assert tokenizer.get_vocab_size() <= encoder.vocabulary


def test_a_text_encoder_begun_from_another_keeps_its_words_and_appends_new_ones(made, data, tmp_path):
    workspace = tiny.workspace(data, tmp_path, init=made)
    RECIPES["sticker-text-encoder"].run(workspace, **tiny.OVERRIDES, max_train_steps=1, learning_rate=1e-9)
    before, after = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (made, tmp_path))
    assert after.get_vocab().items() >= before.get_vocab().items()
    old, new = (TextEncoder.from_pretrained(folder / "text_encoder") for folder in (made, tmp_path))
    assert new.vocabulary == max(old.vocabulary, after.get_vocab_size())
    rows, kept = new.embedding.weight, old.embedding.weight[: before.get_vocab_size()]
    torch.testing.assert_close(rows[: len(kept)], kept, rtol=1e-2, atol=1e-4)
    for index in range(len(kept), after.get_vocab_size()):
        pieces = [piece for piece in before.encode(after.id_to_token(index)).ids if piece]
        torch.testing.assert_close(rows[index], kept[pieces].mean(0), rtol=1e-2, atol=1e-4)


def test_a_text_encoder_without_its_tokenizer_is_no_start(place, data, tmp_path):
    (place / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"holds no tokenizer.json"):
        RECIPES["sticker-text-encoder"].task(tiny.workspace(data, tmp_path / "new", init=place))


@pytest.mark.parametrize(("name", "steps", "count"), [("sticker-regression", 1, 4), ("sticker", STEPS, 8)])
def test_a_run_samples_no_more_trajectories_than_it_draws(place, data, capsys, name, steps, count):
    tiny.run("sticker-regression", data, place, max_train_steps=STEPS)
    forget(place, name)
    capsys.readouterr()
    tiny.run(name, data, place, max_train_steps=steps)
    assert f"sampled {count} of {count} trajectories\n" in capsys.readouterr().err


# --- the workspace ------------------------------------------------------------------------------------------


def test_latents_are_encoded_anew_with_another_encoder(place, data):
    workspace = tiny.workspace(data, place)
    before = workspace.latents().latents
    cached = (place / "cache" / "latents.safetensors").stat().st_mtime_ns
    assert torch.equal(workspace.latents().latents, before)
    assert (place / "cache" / "latents.safetensors").stat().st_mtime_ns == cached
    Encoder(**tiny.NETWORK_SIZES["encoder"]).save_component(place)
    assert not torch.equal(workspace.latents().latents, before)


@pytest.mark.parametrize("movements", [1, 2])
def test_latents_are_encoded_anew_with_other_movements(place, data, movements):
    assert tiny.workspace(data, place).latents(movements).latents.shape[1] == movements


def test_related_words_are_found_once_and_said_in_captions_but_not_the_judges(data, tmp_path):
    (tmp_path / "cache").mkdir()
    names = sorted(tiny.workspace(data, tmp_path).keywords)
    related = {name: ["doodad"] for name in names}
    (tmp_path / "cache" / "related_words.json").write_text(json.dumps(related))
    workspace = tiny.workspace(data, tmp_path)
    assert workspace.related_words == related
    said, judged = (
        [caption for sticker in stickers.stickers for caption in sticker.captions]
        for stickers in (workspace.stickers, workspace.originals)
    )
    assert 0.15 < sum("doodad" in caption for caption in said) / len(said) < 0.35
    assert not any("doodad" in caption for caption in judged)


def test_without_the_teacher_there_are_no_related_words_and_a_line_says_so(data, tmp_path, monkeypatch, capsys):
    def missing(phrases):
        raise MissingExtraError("the sentence teacher is missing")

    monkeypatch.setattr(tiny.recipe, "teacher_embeddings", missing)
    workspace = tiny.workspace(data, tmp_path)
    assert workspace.related_words == {}
    assert workspace.stickers.stickers
    assert capsys.readouterr().err.splitlines() == ["captions hold no related words: the sentence teacher is missing"]
    assert not (tmp_path / "cache" / "related_words.json").exists()


def test_networks_begin_from_init_under_their_name_or_their_stand_ins(made, data, tmp_path):
    workspace = Workspace(data, tmp_path, init=made)
    begun = workspace.new(Denoiser, "teacher")
    assert torch.equal(begun.position, Denoiser.from_pretrained(made / "teacher").position)
    student = workspace.new(Denoiser, "unknown", stand_in="denoiser")
    assert torch.equal(student.position, Denoiser.from_pretrained(made / "denoiser").position)


def test_an_init_without_the_component_is_refused(made, data, tmp_path):
    with pytest.raises(WeightsError, match="holds no unknown to start from"):
        Workspace(data, tmp_path, init=made).new(Denoiser, "unknown")


GO_ON = {name for name, recipe in RECIPES.items() if recipe.goes_on}


@pytest.mark.parametrize("name", sorted(GO_ON))
def test_a_recipe_that_goes_on_from_another_takes_no_init(name, tmp_path):
    with pytest.raises(ConfigError, match="leave --init out"):
        RECIPES[name].run(Workspace(tmp_path, tmp_path / "run", tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(RECIPES.keys() - GO_ON))
def test_a_wrong_init_is_noticed_before_any_data_is_read(name, tmp_path):
    for folder in ("data", "init"):
        (tmp_path / folder).mkdir()
    with pytest.raises(WeightsError, match="to start from"):
        RECIPES[name].task(Workspace(tmp_path / "data", tmp_path / "run", tmp_path / "init"))


def test_shards_may_lie_in_the_data_folder_itself(data, tmp_path):
    direct = Workspace(data / "stickers", tmp_path / "one", image_size=tiny.IMAGE_SIZE).stickers
    named = Workspace(data, tmp_path / "two", image_size=tiny.IMAGE_SIZE).stickers
    assert torch.equal(direct.images, named.images)


def test_features_for_the_perceptual_loss_are_optional(data, tmp_path):
    assert Workspace(data, tmp_path).perceptual() is None


def test_an_earlier_recipe_that_was_not_run(data, tmp_path):
    with pytest.raises(WeightsError, match=r"encoder is neither in .* run the recipe that makes it first"):
        tiny.run("sticker-decoder", data, tmp_path, max_train_steps=1)


def test_phrases_of_another_vocabulary_are_refused(place, data):
    workspace = Workspace(data, place, sizes={"text_encoder": {"vocabulary": 50, "tokens": 8}}, image_size=64)
    with pytest.raises(ConfigError, match=r"sentences.safetensors was made for a text encoder of another size"):
        RECIPES["sticker-text-encoder"].run(workspace, **tiny.OVERRIDES, max_train_steps=1)


def test_an_override_that_is_no_setting(data, tmp_path):
    with pytest.raises(ConfigError, match=r"recipe sticker-teacher: .*'batch'"):
        tiny.run("sticker-teacher", data, tmp_path, batch=3)


# --- the table ----------------------------------------------------------------------------------------------


def test_the_table_is_by_name_and_says_what_needs_a_teacher():
    assert all(name == recipe.name for name, recipe in RECIPES.items())
    distilled = {"sticker-text-encoder", "sticker-decoder", "sticker-regression", "sticker"}
    distilled |= {"cutout-sam-encoder", "cutout-sam-decoder"}
    assert {name for name, recipe in RECIPES.items() if recipe.distils} == distilled
