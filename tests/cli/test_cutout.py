"""`mobigen cutout`: what is written, and one clear line for whatever is wrong."""

import json
import shutil

import numpy as np
import pytest
import tiny_cutout as tiny
from command_line import assert_one_line_and_code_2, run
from PIL import Image

from mobigen.cli import cutout as module
from mobigen.pipelines.cutout import CutoutPredictor


class Quick(CutoutPredictor):
    """With painters, and a coarse grid for everything."""

    def __init__(self):
        painted = tiny.painted_predictor()
        super().__init__(painted._settings, painted._components, {}, "cutout")

    def everything(self):
        return super().everything(points_per_side=4)


@pytest.fixture(autouse=True)
def painters(monkeypatch):
    """The pipeline on painters, whatever model is asked for."""
    monkeypatch.setattr(module, "_open", lambda model, backend, threads, flip_test: Quick())


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(tiny.photo()).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_what_stands_out_without_a_click(photo, tmp_path):
    result = run("cutout", photo, "-o", tmp_path / "cut.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'cut.png'}\n"
    cut = opened(tmp_path / "cut.png")
    assert cut.shape == (90, 120, 4)
    assert cut[45, 35].tolist() == [10, 20, 30, 255]
    assert cut[5, 100, 3] == 0


def test_several_photos_go_into_a_folder_under_their_names(photo, tmp_path):
    other = tmp_path / "park.png"
    Image.fromarray(tiny.photo(60, 60)).save(other)
    result = run("cutout", photo, other, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"street_cutout.png", "park_cutout.png"}


@pytest.mark.parametrize(
    ("options", "inside", "outside"),
    [
        (["--click", "90,20"], (20, 90), (45, 35)),
        (["--click", "90,20", "--click", "30,70"], (70, 30), (45, 60)),
        (["--click", "90,20", "--not", "90,30"], (16, 86), (30, 90)),
        (["--box", "70,10,110,40"], (15, 75), (60, 75)),
        (["--stroke", "20,20:60,20:60,70"], (20, 40), (80, 20)),
        (["--not", "35,45"], (35, 25), (45, 35)),
    ],
)
def test_prompts_reach_the_mask(photo, tmp_path, options, inside, outside):
    result = run("cutout", photo, *options, "--mask", "-o", tmp_path / "mask.png")
    assert result.exit_code == 0, result.output
    mask = opened(tmp_path / "mask.png")
    assert mask.shape == (90, 120)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[inside] == 255
    assert mask[outside] == 0


@pytest.mark.parametrize("options", [[], ["--click", "30,45"], ["--everything"]])
def test_one_object_is_asked_for_with_a_flip_test_and_all_of_them_without(photo, tmp_path, monkeypatch, options):
    asked = []
    monkeypatch.setattr(module, "_open", lambda model, backend, threads, flip_test: asked.append(flip_test) or Quick())
    assert run("cutout", photo, *options, "-o", tmp_path / "out").exit_code == 0
    assert asked == ["--everything" not in options]


def test_everything_is_a_folder_with_sams_listing(photo, tmp_path):
    result = run("cutout", photo, "--everything", "-o", tmp_path / "all")
    assert result.exit_code == 0, result.output
    listing = json.loads((tmp_path / "all" / "masks.json").read_text())
    assert listing["image"] == {"width": 120, "height": 90}
    assert len(listing["annotations"]) == len(list((tmp_path / "all").glob("object_*.png"))) > 3
    first = listing["annotations"][0]
    assert sum(first["segmentation"]["counts"][1::2]) == first["area"]


def test_everything_of_several_photos_is_a_folder_each(photo, tmp_path):
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / photo.name
    Image.fromarray(tiny.photo(60, 60)).save(other)
    result = run("cutout", photo, other, "--everything", "-o", tmp_path / "all")
    assert result.exit_code == 0, result.output
    found = [tmp_path / "all" / name / "masks.json" for name in ("street", "street_again")]
    assert result.stdout.splitlines() == [str(path) for path in found]
    assert [json.loads(path.read_text())["image"]["width"] for path in found] == [120, 60]


def test_everything_again_leaves_nothing_of_an_earlier_call_but_what_a_person_saved(photo, tmp_path):
    folder = tmp_path / "all"
    run("cutout", photo, "--everything", "-o", folder)
    listing = json.loads((folder / "masks.json").read_text())
    for number in (800, 801):
        shutil.copy(folder / "object_000.png", folder / f"object_{number}.png")
        listing["annotations"].append({"id": number})
    (folder / "masks.json").write_text(json.dumps(listing))
    Image.new("RGB", (9, 9)).save(folder / "object_801.png")  # in another program
    shutil.copy(folder / "object_000.png", folder / "object_900.png")  # not of that call
    assert run("cutout", photo, "--everything", "-o", folder).exit_code == 0
    found = {int(path.stem[-3:]) for path in folder.glob("object_*.png")}
    assert found == {*range(len(listing["annotations"]) - 2), 801, 900}


@pytest.mark.parametrize("listing", ["soup", "[]", '{"annotations": [{"id": "../x"}]}'])
def test_a_listing_of_others_is_no_list_of_what_to_remove(photo, tmp_path, listing):
    (tmp_path / "masks.json").write_text(listing)
    assert run("cutout", photo, "--everything", "-o", tmp_path).exit_code == 0
    assert json.loads((tmp_path / "masks.json").read_text())["annotations"]


def test_a_photo_is_not_replaced_by_a_cutout_of_everything(photo):
    photo = photo.rename(photo.with_name("object_001.png"))
    before = photo.read_bytes()
    assert_one_line_and_code_2(run("cutout", photo, "--everything", "-o", photo.parent), "would replace")
    assert [path.name for path in photo.parent.iterdir()] == [photo.name]
    assert photo.read_bytes() == before


def test_a_photo_is_not_replaced_by_its_own_cutout(photo):
    before = photo.read_bytes()
    assert_one_line_and_code_2(run("cutout", photo, "-o", photo), "would replace")
    assert photo.read_bytes() == before


def test_a_photo_that_is_refused_does_not_stop_the_others(photo, tmp_path):
    result = run("cutout", tmp_path / "none.jpg", photo, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stdout == f"{tmp_path / 'out' / 'street_cutout.png'}\n"
    assert result.stderr.splitlines()[-1] == f"error: 1 of 2 files were refused: {tmp_path / 'none.jpg'}"


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_photos_of_every_kind(tmp_path, mode):
    picture = Image.fromarray(tiny.photo())
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "photo.png")
    result = run("cutout", tmp_path / "photo.png", "-o", tmp_path / "cut.png")
    assert result.exit_code == 0, result.output
    assert opened(tmp_path / "cut.png")[45, 35, 3] == 255


def test_a_turned_photo_is_cut_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(tiny.photo()).save(tmp_path / "turned.jpg", exif=exif)
    assert run("cutout", tmp_path / "turned.jpg", "--click", "80,110", "-o", tmp_path / "cut.png").exit_code == 0
    assert opened(tmp_path / "cut.png").shape == (120, 90, 4)


BAD = {
    "outside": (["--click", "500,5"], "500,5 is outside the photo"),
    "contradiction": (["--click", "5,5", "--not", "5,5"], "clicked as the object and as not"),
    "no number": (["--click", "here"], "'here' is not a click; write NUMBER,NUMBER"),
    "empty": (["--click", ""], "'' is not a click"),
    "three numbers": (["--click", "1,2,3"], "is not a click"),
    "a box of three": (["--box", "1,2,3"], "is not a box"),
    "a box without area": (["--box", "9,9,9,20"], "has no area"),
    "a stroke": (["--stroke", "1,2:x"], "is not a point of a stroke"),
    "too much": (["--stroke", "1,2:50,50", "--stroke", "9,9:80,80"], "24 clicks and corners; accepted: at most 16"),
    "nan": (["--click", "nan,5"], "'nan,5' is not a click"),
    "both": (["--mask", "--everything"], "exclude each other"),
    "everything of a click": (["--click", "5,5", "--everything"], "belong to one photo"),
    "a format": (["-o", "cut.jpg"], "does not end in .png;"),
    "everything as a file": (["--everything", "-o", "all.png"], "is a file, --everything makes a folder"),
}


@pytest.mark.parametrize(("options", "complaint"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_in_one_line(photo, options, complaint):
    assert_one_line_and_code_2(run("cutout", photo, *options), complaint)


def test_an_animation_is_refused_as_elsewhere(tmp_path):
    first, second = Image.fromarray(tiny.photo()), Image.new("RGB", (120, 90))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert_one_line_and_code_2(run("cutout", tmp_path / "moving.gif"), "has 2 pictures; save the one that is meant")


def test_photos_that_cannot_be_read(tmp_path):
    assert_one_line_and_code_2(run("cutout", tmp_path / "none.jpg"), "there is no file")
    (tmp_path / "broken.jpg").write_bytes(b"soup")
    assert_one_line_and_code_2(run("cutout", tmp_path / "broken.jpg"), "is not a picture that can be read")


def test_several_photos_share_neither_clicks_nor_a_file(photo):
    assert_one_line_and_code_2(run("cutout", photo, photo, "--click", "5,5"), "belong to one photo")
    assert_one_line_and_code_2(run("cutout", photo, photo, "-o", "cut.png"), "one file for 2 photos")


def test_a_photo_in_which_nothing_stands_out(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 255, np.uint8)).save(tmp_path / "white.png")
    result = run("cutout", tmp_path / "white.png", "-o", tmp_path / "cut.png")
    assert_one_line_and_code_2(result, "no object was found; click on it")
    assert not (tmp_path / "cut.png").exists()


def test_a_model_that_is_not_there(photo, monkeypatch):
    monkeypatch.undo()
    assert_one_line_and_code_2(run("cutout", photo, "--model", "./nowhere/"), "no bundle")


def test_a_model_for_something_else(photo, exported_bundle, monkeypatch):
    monkeypatch.undo()
    result = run("cutout", photo, "--model", f"{exported_bundle}/")
    assert_one_line_and_code_2(result, "is a model for text-to-image, not for cutout; give cutout, say")
