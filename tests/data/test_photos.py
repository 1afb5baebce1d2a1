"""Photos: decoded once, cropped at random, and reduced as if the photo went on beyond the crop."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mobigen.data import photos as photos_module
from mobigen.data.photos import PhotoCrops, PhotoSet, VariedCrops, draw_pairs, load_photos, read_photos, reduce
from mobigen.data.synthetic import draw_figure, draw_photo, write_synthetic_masks, write_synthetic_photos
from mobigen.errors import InputError


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_synthetic_photos(folder, 3)
    return folder


@pytest.fixture(scope="module")
def crops(folder, tmp_path_factory):
    return PhotoCrops(load_photos([folder], tmp_path_factory.mktemp("cache")), torch.device("cpu"))


# --- reading ------------------------------------------------------------------------------------------------


def test_photos_are_decoded_in_order_and_once(folder, tmp_path, monkeypatch):
    loaded = load_photos([folder], tmp_path)
    expected = [pixels for _, pixels in read_photos(folder)]
    assert loaded.sizes == [(80, 96)] * 3
    np.testing.assert_array_equal(loaded.pixels.numpy(), np.concatenate([each.reshape(-1, 3) for each in expected]))
    monkeypatch.setattr(photos_module, "_fill", None)
    assert torch.equal(load_photos([folder], tmp_path).pixels, loaded.pixels)


def test_other_files_are_decoded_anew(tmp_path):
    write_synthetic_photos(tmp_path / "data", 1)
    load_photos([tmp_path / "data"], tmp_path / "cache")
    write_synthetic_photos(tmp_path / "data", 2, seed=1)
    assert len(load_photos([tmp_path / "data"], tmp_path / "cache").sizes) == 2


def test_pictures_may_lie_in_the_folder_itself(tmp_path):
    photo = draw_photo(20, 16, np.random.default_rng(0))
    Image.fromarray(photo).save(tmp_path / "b.png")
    Image.fromarray(photo[:8]).save(tmp_path / "a.PNG", "PNG")
    (tmp_path / "notes.txt").write_text("not a picture")
    found = list(read_photos(tmp_path))
    assert [(name, pixels.shape) for name, pixels in found] == [("a", (8, 20, 3)), ("b", (16, 20, 3))]
    np.testing.assert_array_equal(found[1][1], photo)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pictures in"):
        list(read_photos(tmp_path))


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "soup.png").write_bytes(b"soup")
    with pytest.raises(InputError, match="picture soup cannot be decoded"):
        load_photos([tmp_path], tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["soup.png"]


def test_photos_of_several_folders_follow_each_other_without_their_label_maps(tmp_path):
    write_synthetic_photos(tmp_path / "photos", 2, width=40, height=30)
    write_synthetic_masks(tmp_path / "masks", 3, size=32)
    folders = [tmp_path / "photos", tmp_path / "masks"]
    loaded = load_photos(folders, tmp_path / "cache")
    expected = [pixels.reshape(-1, 3) for folder in folders for _, pixels in read_photos(folder)]
    assert loaded.sizes == [(30, 40)] * 2 + [(32, 32)] * 3
    np.testing.assert_array_equal(loaded.pixels.numpy(), np.concatenate(expected))
    photo, _ = draw_figure(32, np.random.default_rng(0))
    assert np.abs(expected[2].astype(int) - photo.reshape(-1, 3)).mean() < 6  # a JPEG of it


def test_photos_that_are_too_small_are_left_out(tmp_path):
    write_synthetic_photos(tmp_path / "photos", 2, width=40, height=30)
    write_synthetic_masks(tmp_path / "masks", 3, size=32)
    folders = [tmp_path / "photos", tmp_path / "masks"]
    assert load_photos(folders, tmp_path / "cache", smallest=32).sizes == [(32, 32)] * 3
    with pytest.raises(InputError, match=r"no photo in .*photos, .*masks has 33 pixels a side"):
        load_photos(folders, tmp_path / "cache", smallest=33)


# --- crops --------------------------------------------------------------------------------------------------


def test_crops_repeat_and_are_in_range(crops):
    first, again = crops.draw(5, 24, source()), crops.draw(5, 24, source())
    assert first.shape == (5, 3, 24, 24)
    assert torch.equal(first, again)
    assert not torch.equal(first, crops.draw(5, 24, source(1)))
    assert first.min() >= 0
    assert first.max() <= 1


def numbered(height=16, width=24):
    """A photo whose pixels say where they are."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([rows, columns, torch.zeros_like(rows)], dim=-1).to(torch.uint8)
    return PhotoCrops(PhotoSet(pixels.reshape(-1, 3), [(height, width)]), torch.device("cpu"))


def test_crops_are_squares_of_the_photo_in_all_eight_ways():
    drawn = (numbered().draw(200, 6, source()) * 255).round().long()
    seen = set()
    for rows, columns, _ in drawn:
        assert sorted(rows.unique().tolist()) == list(range(int(rows.min()), int(rows.min()) + 6))
        assert sorted(columns.unique().tolist()) == list(range(int(columns.min()), int(columns.min()) + 6))
        down, right = rows[1, 0] - rows[0, 0], rows[0, 1] - rows[0, 0]
        seen.add((int(down), int(right), int(columns[1, 0] - columns[0, 0]), int(columns[0, 1] - columns[0, 0])))
    assert len(seen) == 8


def test_every_place_can_be_drawn_and_borders_are_kept():
    drawn = (numbered().draw(2000, 6, source()) * 255).round().long()
    corners = {(int(rows.min()), int(columns.min())) for rows, columns, _ in drawn}
    assert len(corners) > 0.9 * 11 * 19
    assert max(top for top, _ in corners) == 10
    assert max(left for _, left in corners) == 18


def test_there_are_more_crops_where_there_is_more_to_see():
    pixels = torch.full((256, 256, 3), 90, dtype=torch.uint8)
    pixels[:64, :64] = torch.randint(0, 256, (64, 64, 3), generator=source(), dtype=torch.uint8)
    crops = PhotoCrops(PhotoSet(pixels.reshape(-1, 3), [(256, 256)]), torch.device("cpu"))
    busy = (crops.draw(300, 16, source()).std((1, 2, 3)) > 0.05).float().mean()
    assert 0.5 < busy < 0.98  # by area, 0.08


def test_photos_that_are_too_small_are_refused(crops):
    with pytest.raises(InputError, match="is 80 pixels wide or high; take out those with fewer than 81"):
        crops.draw(1, 81, source())


# --- crops that vary ----------------------------------------------------------------------------------------


def coloured(colour, size=64):
    """A photo of one colour."""
    pixels = torch.tensor(colour, dtype=torch.uint8).expand(size * size, 3)
    return PhotoCrops(PhotoSet(pixels.contiguous(), [(size, size)]), torch.device("cpu"))


def test_varied_crops_repeat_and_are_in_range(crops):
    varied = VariedCrops(crops)
    first = varied.draw(9, 24, source())
    assert first.shape == (9, 3, 24, 24)
    assert torch.equal(first, varied.draw(9, 24, source()))
    assert first.min() >= 0
    assert first.max() <= 1


def test_half_of_the_crops_are_recoloured_and_half_of_those_inverted():
    drawn = (VariedCrops(coloured((255, 0, 102))).draw(400, 4, source())[:, :, 0, 0] * 255).round()
    kept = (drawn == torch.tensor([255.0, 0.0, 102.0])).all(1)
    assert 0.4 < kept.float().mean() < 0.6
    dark = VariedCrops(coloured((40, 40, 40))).draw(400, 4, source())[:, :, 0, 0]
    bright = ((dark * 255).round() == 215).all(1)  # of equal colours every blend is the same
    assert ((dark * 255).round() == 40).all(1).logical_xor(bright).all()
    assert 0.15 < bright.float().mean() < 0.35


def test_half_of_the_crops_show_more_of_the_photo_in_less_detail():
    drawn = VariedCrops(numbered(48, 48)).draw(400, 12, source()) * 255
    kept = (drawn[:, 2] == 0).all((1, 2))  # neither blended nor inverted
    rows, columns = drawn[kept, 0], drawn[kept, 1]
    step = (rows[:, 1:] - rows[:, :-1]).abs().mean((1, 2)) + (columns[:, 1:] - columns[:, :-1]).abs().mean((1, 2))
    shares = [(step - factor).abs().lt(0.1).float().mean() for factor in (1.0, 1.5, 2.0)]
    assert sum(shares) == 1
    assert all(abs(share - expected) < 0.1 for share, expected in zip(shares, (0.5, 0.25, 0.25), strict=True))


def test_half_of_a_batch_is_of_small_photos():
    large, small = coloured((200, 200, 200), size=40), coloured((9, 9, 9), size=20)
    drawn = VariedCrops(large, small).draw(9, 16, source())
    assert drawn.shape == (9, 3, 16, 16)
    greys = drawn.mean((1, 2, 3)) * 255  # a blend of greys is that grey
    assert sum(min(abs(grey - value) for value in (9, 246)) < 0.5 for grey in greys) == 4
    assert sum(min(abs(grey - value) for value in (200, 55)) < 0.5 for grey in greys) == 5


def test_small_photos_are_reduced_by_less():
    assert VariedCrops(coloured((9, 9, 9), size=20)).draw(4, 16, source()).shape == (4, 3, 16, 16)


# --- pairs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_small_picture_is_reduced_from_more_than_the_crop(crops, scale):
    """So its border is what the reduction of the whole photo has there."""
    small, large = draw_pairs(crops, 8, scale, reduce)(4, source())
    assert small.shape == (4, 3, 8, 8)
    assert large.shape == (4, 3, 8 * scale, 8 * scale)
    whole = crops.draw(4, (8 + 8) * scale, source())
    torch.testing.assert_close(reduce(whole, scale)[..., 4:-4, 4:-4], small)
    torch.testing.assert_close(small * 255, (small * 255).round(), rtol=0, atol=1e-4)


def test_a_jpeg_counts_as_a_photo(tmp_path):
    file = io.BytesIO()
    Image.fromarray(draw_photo(40, 32, np.random.default_rng(0))).save(file, "JPEG")
    (tmp_path / "one.jpg").write_bytes(file.getvalue())
    ((name, pixels),) = read_photos(tmp_path)
    assert (name, pixels.shape) == ("one", (32, 40, 3))
