"""The upscale command on pictures of every kind, on batches, videos, and on what it has to refuse."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from command_line import ROOT, assert_one_line_and_code_2, command, run
from PIL import Image, ImageCms, PngImagePlugin

from mobigen import load
from mobigen.media import read_parameters
from mobigen.video import open_video, write_video


def photo(width=30, height=22, seed=0):
    source = np.random.default_rng(seed)
    slope = np.linspace(40, 200, width)[None, :, None] + source.normal(0, 10, (height, width, 3))
    return Image.fromarray(np.clip(slope, 0, 255).astype(np.uint8))


@pytest.fixture
def model(upscale_bundle):
    return f"{upscale_bundle}/"


@pytest.fixture
def place(tmp_path):
    photo().save(tmp_path / "photo.png")
    return tmp_path


def upscale(model, *arguments, **options):
    return run("upscale", *arguments, "--model", model, "--threads", 1, **options)


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


# --- pictures -----------------------------------------------------------------------------------------------


def test_a_picture_becomes_what_the_pipeline_makes_of_it(place, model, upscale_bundle):
    result = upscale(model, place / "photo.png", "-o", place / "large.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{place / 'large.png'}\n"
    assert result.stderr == ""
    expected = load(upscale_bundle, threads=1).upscale(photo())
    np.testing.assert_array_equal(np.asarray(opened(place / "large.png")), np.asarray(expected))
    assert read_parameters(place / "large.png")["model"] == "upscale-x2"


def test_results_are_named_after_their_pictures(place, model):
    (place / "sub").mkdir()
    photo(20, 20).save(place / "sub" / "photo.jpg")
    result = upscale(model, place / "photo.png", place / "sub" / "photo.jpg", "-o", place / "new" / "out")
    assert result.exit_code == 0, result.output
    out = place / "new" / "out"
    assert result.stdout.splitlines() == [str(out / "photo_x2.png"), str(out / "photo_x2_again.png")]
    assert [opened(out / name).size for name in ("photo_x2.png", "photo_x2_again.png")] == [(60, 44), (40, 40)]


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_other_formats(place, model, suffix):
    assert upscale(model, place / "photo.png", "-o", place / f"large.{suffix}").exit_code == 0
    image = opened(place / f"large.{suffix}")
    assert (image.format, image.size) == ({"jpg": "JPEG", "webp": "WEBP"}[suffix], (60, 44))
    assert read_parameters(place / f"large.{suffix}") == load(model).parameters | {"strength": 1.0}


def test_strength_and_tile(place, model):
    for name, options in (("full", []), ("none", ["--strength", 0]), ("tiled", ["--tile", 16])):
        assert upscale(model, place / "photo.png", "-o", place / f"{name}.png", *options).exit_code == 0
    full, none, tiled = (np.asarray(opened(place / f"{name}.png")).astype(int) for name in ("full", "none", "tiled"))
    assert np.abs(full - none).max() > 1
    assert np.abs(full - tiled).max() <= 1
    assert read_parameters(place / "none.png")["strength"] == 0


def test_it_is_turned_upright(place, model):
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    photo().save(place / "turned.jpg", exif=exif, quality=95)
    upscale(model, place / "turned.jpg", "-o", place / "large.png")
    assert opened(place / "large.png").size == (44, 60)


def test_alpha_and_profile_are_kept(place, model):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = photo()
    image.putalpha(Image.fromarray(np.full((22, 30), 128, np.uint8)))
    image.save(place / "clear.png", icc_profile=profile)
    upscale(model, place / "clear.png", "-o", place / "large.png")
    large = opened(place / "large.png")
    assert large.mode == "RGBA"
    assert np.abs(np.asarray(large)[..., 3].astype(int) - 128).max() <= 2
    assert large.info["icc_profile"] == profile


KINDS = {  # how a picture is saved -> the mode of its result
    "single.png": (Image.new("RGB", (1, 1), (10, 20, 30)), {}, "RGB"),
    "grey.png": (photo().convert("L"), {}, "L"),
    "16-bit.png": (Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100), {}, "L"),
    "cmyk.jpg": (photo().convert("CMYK"), {}, "RGB"),
    "palette.png": (photo().convert("P", palette=Image.Palette.ADAPTIVE), {}, "RGB"),
    "palette.gif": (photo().convert("P", palette=Image.Palette.ADAPTIVE), {"transparency": 3}, "RGBA"),
    "bits.png": (photo().convert("1"), {}, "L"),
    "phone.jpg": (photo(), {"format": "MPO", "save_all": True, "append_images": [photo(10, 10)]}, "RGB"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_picture(name, tmp_path, model):
    image, options, mode = KINDS[name]
    image.save(tmp_path / name, **options)
    result = upscale(model, tmp_path / name, "-o", tmp_path / "large.png")
    assert result.exit_code == 0, result.output
    large = opened(tmp_path / "large.png")
    assert (large.mode, large.size) == (mode, (2 * image.width, 2 * image.height))


def test_16_bits_become_8(tmp_path, model):
    Image.fromarray(np.full((9, 9), 200 * 257, np.uint16)).save(tmp_path / "bright.png")
    upscale(model, tmp_path / "bright.png", "-o", tmp_path / "large.png")
    assert np.abs(np.asarray(opened(tmp_path / "large.png")).astype(int)[4:-4, 4:-4] - 200).max() <= 6


# --- videos -------------------------------------------------------------------------------------------------


def test_a_video_frame_by_frame(tmp_path, model):
    write_video(tmp_path / "clip.mp4", [np.asarray(photo(32, 24, seed)) for seed in range(4)], (32, 24), 10)
    result = upscale(model, tmp_path / "clip.mp4", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'out' / 'clip_x2.mp4'}\n"
    video = open_video(tmp_path / "out" / "clip_x2.mp4")
    assert (video.size, video.count, round(video.rate)) == ((64, 48), 4, 10)


# --- batches ------------------------------------------------------------------------------------------------


def test_a_bad_file_does_not_stop_the_others(place, model):
    (place / "soup.png").write_bytes(b"soup")
    photo(10, 10).save(place / "last.png")
    result = upscale(model, place / "photo.png", place / "soup.png", place / "last.png", "-o", place / "out")
    assert result.exit_code == 2
    assert sorted(path.name for path in (place / "out").iterdir()) == ["last_x2.png", "photo_x2.png"]
    first, last = result.stderr.splitlines()
    assert "soup.png is not a picture" in first
    assert last.startswith("error: 1 of 3 files were refused")


@pytest.mark.skipif(os.name == "nt", reason="signals are Unix's")
def test_ctrl_c_leaves_finished_files_and_no_half_ones(tmp_path, model):
    photo(20, 16).save(tmp_path / "a.png")
    photo(1500, 1500).save(tmp_path / "b.png")
    line = command("upscale", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", "--model", model)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        while not list(tmp_path.glob("out/.mobigen-*")) or not (tmp_path / "out" / "a_x2.png").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, chatter = process.communicate(timeout=120)
    assert process.returncode == 130
    assert chatter == "interrupted\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_x2.png"]


# --- refusals -----------------------------------------------------------------------------------------------


def broken(place):
    content = (place / "photo.png").read_bytes()
    (place / "cut.png").write_bytes(content[: len(content) // 2])
    return place / "cut.png"


def animated(place):
    photo().save(place / "moving.gif", save_all=True, append_images=[photo(seed=1)])
    return place / "moving.gif"


def floating(place):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(place / "floating.tiff")
    return place / "floating.tiff"


def enormous(place):
    """A file that says it is 20,000 x 20,000."""
    content = bytearray((place / "photo.png").read_bytes())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    (place / "enormous.png").write_bytes(content)
    return place / "enormous.png"


def empty(place):
    (place / "empty.jpg").touch()
    return place / "empty.jpg"


def soup(place):
    (place / "soup.mp4").write_bytes(b"soup")
    return place / "soup.mp4"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (broken, "is not a picture that can be read"),
        (animated, "has 2 pictures; save the one that is meant"),
        (floating, "its numbers are floating-point"),
        (enormous, "is larger than 178 megapixels"),
        (empty, "is not a picture that can be read"),
        (soup, "is not a video that can be read"),
        (lambda place: place / "nothing.png", "there is no file"),
        (lambda place: place, "is a folder; give the pictures in it"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_one_line(place, model, make, complaint):
    assert_one_line_and_code_2(upscale(model, make(place), "-o", place / "out"), complaint)
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-s", 3], "enlarges by 2, -s asks for 3"),
        (["--strength", 2], "strength is 2.0; accepted: from 0"),
        (["--tile", 99], "upscale-x2 has no tile of 99; its tiles: 24, 16"),
        (["-o", "large.bmp"], "-o large.bmp does not end in .png or .jpg or .jpeg or .webp"),
        (["--backend", "soup"], "there is no backend 'soup'"),
        (["--threads", 0], "threads is 0"),
    ],
)
def test_options_that_cannot_work(place, model, options, complaint, monkeypatch):
    monkeypatch.chdir(place)
    arguments = ["upscale", "photo.png", "--model", model, *options]
    assert_one_line_and_code_2(run(*arguments), complaint)
    assert [path.name for path in place.iterdir()] == ["photo.png"]


def test_scales_without_a_model(place):
    assert_one_line_and_code_2(run("upscale", place / "photo.png", "-s", 5), "-s is 5; accepted: 2, 3, 4")


def test_models_for_something_else(place, exported_bundle):
    result = run("upscale", place / "photo.png", "--model", f"{exported_bundle}/")
    assert_one_line_and_code_2(result, "is a model for text-to-image, not for upscale; give upscale-x2, say")


def test_one_file_for_several_pictures(place, model):
    result = upscale(model, place / "photo.png", place / "photo.png", "-o", place / "large.png")
    assert_one_line_and_code_2(result, "is one file for 2 files; give a folder")


def test_a_picture_is_not_replaced_by_its_own_enlargement(place, model):
    before = (place / "photo.png").read_bytes()
    assert_one_line_and_code_2(upscale(model, place / "photo.png", "-o", place / "photo.png"), "would replace")
    assert (place / "photo.png").read_bytes() == before


def test_a_picture_is_not_replaced_by_anothers_enlargement(place, model):
    photo(9, 9).save(place / "photo_x2.png")
    before = (place / "photo_x2.png").read_bytes()
    result = upscale(model, place / "photo.png", place / "photo_x2.png", "-o", place)
    assert result.exit_code == 2
    assert "photo_x2.png would replace a file that is given" in result.stderr
    assert result.stdout == f"{place / 'photo_x2_x2.png'}\n"
    assert (place / "photo_x2.png").read_bytes() == before


def test_transparency_does_not_fit_in_a_jpeg(place, model):
    Image.new("RGBA", (4, 4)).save(place / "clear.png")
    result = upscale(model, place / "clear.png", "-o", place / "large.jpg")
    assert_one_line_and_code_2(result, "cannot hold the transparency")
    assert not (place / "large.jpg").exists()


def test_a_video_does_not_become_a_picture(tmp_path, model):
    write_video(tmp_path / "clip.mp4", [np.asarray(photo(32, 24))], (32, 24), 10)
    result = upscale(model, tmp_path / "clip.mp4", "-o", tmp_path / "large.png")
    assert_one_line_and_code_2(result, "does not end in .mp4;")


def test_a_place_that_cannot_be_written(place, model):
    (place / "file").touch()
    assert_one_line_and_code_2(
        upscale(model, place / "photo.png", "-o", place / "file" / "sub"), "cannot make the folder"
    )


def test_other_text_inside_a_picture_does_not_matter(place, model):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("comment", "x" * 1000)
    photo().save(place / "said.png", pnginfo=chunks)
    assert upscale(model, place / "said.png", "-o", place / "out").exit_code == 0
    shutil.rmtree(place / "out")
