"""Upscaling: no seams, every kind of picture, alpha, luma, strength, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_upscale import SCALE, Neighbours

from mobigen import load
from mobigen.bicubic import resize_matrix
from mobigen.bundle import load_bundle
from mobigen.errors import BundleError, InputError
from mobigen.luma import from_rgb, to_rgb
from mobigen.pipelines.upscale import UpscalePipeline, at_tile
from mobigen.settings import UpscaleSettings


def picture(height=20, width=26, channels=3, seed=0):
    """A picture with a slope and grain."""
    source = np.random.default_rng(seed)
    slope = np.linspace(40, 200, width)[None, :, None] + source.normal(0, 20, (height, width, channels))
    return np.clip(slope, 0, 255).astype(np.uint8)


def joined(height=14, width=18, overlap=2, scale=2, channels=3):
    component = Neighbours(height, width, scale, reach=min(overlap, 2), channels=channels)
    return UpscalePipeline(UpscaleSettings(scale, overlap), {"upscaler": component}, {}, "tiny")


def at_once(pixels, scale=2, reach=2):
    """The exact component on the whole picture, its border repeated."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    component = Neighbours(height + 2 * reach, width + 2 * reach, scale, reach)
    planes = padded.transpose(2, 0, 1)[None].astype(np.float32) / 255
    made = component(image=planes)["upscaled"][0, :, reach * scale : -reach * scale, reach * scale : -reach * scale]
    return np.rint(made * 255).astype(np.uint8).transpose(1, 2, 0)


# --- tiles --------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 3, 4]), st.integers(2, 4))
def test_tiles_leave_no_seam(height, width, scale, overlap):
    pixels = picture(height, width)
    made = joined(scale=scale, overlap=overlap).upscale(pixels)
    np.testing.assert_array_equal(made, at_once(pixels, scale))


def test_too_small_an_overlap_would_leave_seams():
    """So the test above can fail."""
    component = Neighbours(14, 18, reach=2)
    pipeline = UpscalePipeline(UpscaleSettings(2, 1), {"upscaler": component}, {}, "tiny")
    pixels = picture(30, 30)
    assert (pipeline.upscale(pixels) != at_once(pixels)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_real_network_leaves_no_seam(channels):
    torch = pytest.importorskip("torch")
    from tiny_networks import tiny

    from mobigen.models.plain_upscaler import PlainUpscaler
    from mobigen.runtime.torch import TorchComponent

    network = tiny(PlainUpscaler, scale=3, channels=channels).fuse()
    overlap = network.reach + network.reach % 2
    pixels = picture(31, 45)
    made = []
    for size in ((2 * overlap + 6, 2 * overlap + 10), (31 + 2 * overlap + 1, 45 + 2 * overlap + 1)):
        tiled = network.at_tile(*size)
        component = TorchComponent(tiled, tiled.signature())
        made.append(UpscalePipeline(UpscaleSettings(3, overlap), {"upscaler": component}, {}, "tiny").upscale(pixels))
    difference = np.abs(made[0].astype(int) - made[1])
    assert difference.max() <= 1  # where rounding falls the other way
    assert (difference > 0).mean() < 1e-3
    assert torch.is_tensor(next(network.parameters()))


def test_bands_come_from_the_top_and_a_tiles_height_at_once():
    pixels, pipeline = picture(25, 30), joined()
    bands = list(pipeline.stream(pixels))
    assert [(band.top, band.pixels.shape) for band in bands] == [
        (0, (20, 60, 3)), (20, (20, 60, 3)), (40, (10, 60, 3)),
    ]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate([band.pixels for band in bands]), pipeline.upscale(pixels))


def test_bands_are_made_when_they_are_asked_for():
    pipeline = joined()
    bands = pipeline.stream(picture(200, 30))
    assert pipeline._upscaler.calls == 0
    next(bands)
    assert pipeline._upscaler.calls == 3


# --- kinds of pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_comes_back_as_it_came(mode):
    image = Image.fromarray(picture(channels=len(Image.new(mode, (1, 1)).getbands())).squeeze())
    made = joined().upscale(image)
    assert (made.mode, made.size) == (mode, (52, 40))
    pixels = np.asarray(image)
    array = joined().upscale(pixels)
    assert array.shape == (40, 52, *pixels.shape[2:])
    np.testing.assert_array_equal(np.asarray(made), array)


@pytest.mark.parametrize(("mode", "becomes"), [("P", "RGB"), ("CMYK", "RGB"), ("LA", "RGBA"), ("1", "RGB")])
def test_other_modes_become_plain(mode, becomes):
    image = Image.fromarray(picture()).convert(mode)
    assert joined().upscale(image).mode == becomes


def test_grey_is_what_three_equal_channels_give():
    grey = picture(channels=1)
    np.testing.assert_array_equal(joined().upscale(grey[..., 0]), at_once(grey.repeat(3, axis=2))[..., 0])


def test_calls_give_pil_images_or_arrays_one_each():
    pixels = picture()
    output = joined()([pixels, Image.fromarray(pixels)])
    assert [each.size for each in output.images] == [(52, 40)] * 2
    (array,) = joined()(pixels, output_type="np").images
    np.testing.assert_array_equal(array, at_once(pixels))


def test_a_single_pixel_is_enlarged():
    np.testing.assert_array_equal(joined().upscale(np.full((1, 1, 3), 77, np.uint8)), np.full((2, 2, 3), 77))


# --- alpha --------------------------------------------------------------------------------------------------


def test_where_all_is_opaque_colours_are_as_without_alpha():
    pixels = picture()
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    made = joined().upscale(opaque)
    np.testing.assert_array_equal(made[..., :3], at_once(pixels))
    assert (made[..., 3] == 255).all()


def test_what_hides_behind_transparency_shows_nowhere():
    """A red disc on a ground that is transparent, be it black or white: the rim stays red."""
    rows, columns = np.mgrid[:30, :30]
    inside = (rows - 15) ** 2 + (columns - 15) ** 2 < 64
    made = []
    for hidden in (0, 255):
        pixels = np.full((30, 30, 4), hidden, np.uint8)
        pixels[inside] = (200, 30, 30, 255)
        pixels[~inside, 3] = 0
        made.append(joined().upscale(pixels))
    np.testing.assert_array_equal(*made)
    rim = (made[0][..., 3] > 20) & (made[0][..., 3] < 235)
    assert rim.any()
    assert np.abs(made[0][rim][:, :3].astype(int) - (200, 30, 30)).max() <= 8
    assert (made[0][made[0][..., 3] == 0] == 0).all()


# --- luma ---------------------------------------------------------------------------------------------------


def test_a_network_of_one_channel_gets_luma_and_chroma_is_bicubic():
    torch = pytest.importorskip("torch")  # its cubic has the slope of OpenCV's, -0.75
    pixels = picture(10, 14)
    made = joined(channels=1, overlap=2).upscale(pixels)
    padded = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge").transpose(2, 0, 1).astype(np.float32) / 255
    luma, *chroma = from_rgb(*padded)
    large = Neighbours(14, 18, channels=1)(image=luma[None, None].astype(np.float32))["upscaled"][0, 0]
    cubic = torch.nn.functional.interpolate(torch.from_numpy(np.stack(chroma))[None], scale_factor=2, mode="bicubic")
    expected = np.stack(to_rgb(large, *cubic[0].numpy()))[:, 4:-4, 4:-4]
    difference = np.abs(np.rint(expected.clip(0, 1) * 255).transpose(1, 2, 0) - made)
    assert difference.max() <= 1


# --- strength -----------------------------------------------------------------------------------------------


def test_no_strength_is_bicubic():
    pixels = picture(40, 40)
    made = joined(overlap=4).upscale(pixels, strength=0.0)
    padded = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), mode="edge").astype(float)
    matrix = resize_matrix(48, 96)
    expected = np.stack([matrix @ padded[..., channel] @ matrix.T for channel in range(3)], -1)[8:-8, 8:-8]
    np.testing.assert_allclose(made, expected.clip(0, 255), atol=0.51)


def test_half_the_strength_is_half_way():
    pixels, pipeline = picture() // 2 + 64, joined()  # so that bicubic does not overshoot what 8 bits hold
    weak, half, full = (pipeline.upscale(pixels, strength=each).astype(float) for each in (0, 0.5, 1))
    np.testing.assert_allclose(half, (weak + full) / 2, atol=1.01)


# --- as Real-ESRGAN is called -------------------------------------------------------------------------------


def test_enhance_keeps_the_order_of_channels():
    pixels = picture()
    made, mode = joined().enhance(np.ascontiguousarray(pixels[..., ::-1]))
    assert mode == "RGB"
    np.testing.assert_array_equal(made[..., ::-1], at_once(pixels))


@pytest.mark.parametrize(("shape", "mode"), [((9, 8), "L"), ((9, 8, 3), "RGB"), ((9, 8, 4), "RGBA")])
def test_enhance_tells_the_mode_and_resizes_at_last(shape, mode):
    made, found = joined().enhance(np.full(shape, 90, np.uint8), outscale=1.5)
    assert (found, made.shape) == (mode, (14, 12, *shape[2:]))
    assert np.abs(made.astype(int) - 90).max() <= 1


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ("photo.jpg", "the picture is str; accepted: a PIL image, or uint8"),
        (None, "the picture is NoneType"),
        (np.zeros((4, 4, 3)), r"float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint16), r"uint16 \(4, 4, 3\)"),
        (np.zeros((4, 4, 2), np.uint8), "2 channels; accepted: 1 grey, 3 RGB or 4 RGBA"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"uint8 \(1, 4, 4, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(image, complaint):
    for call in (joined(), joined().upscale, joined().enhance, joined().stream):
        with pytest.raises(InputError, match=complaint):
            call(image)


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan"), "strong", True])
def test_strengths_that_are_refused(strength):
    for call in (joined(), joined().upscale, joined().stream):
        with pytest.raises(InputError, match=r"strength is .* accepted: from 0, bicubic, to 1"):
            call(picture(), strength=strength)


def test_other_scales_and_types_are_refused():
    with pytest.raises(InputError, match="tiny enlarges by 2, not by 3"):
        joined().upscale(picture(), scale=3)
    with pytest.raises(InputError, match="outscale is 9"):
        joined().enhance(picture(), outscale=9)
    with pytest.raises(InputError, match="output_type is 'jpeg'; accepted: pil, np"):
        joined()(picture(), output_type="jpeg")
    assert joined().upscale(picture(), scale=2).shape == (40, 52, 3)


@pytest.mark.parametrize(
    ("settings", "shape", "complaint"),
    [
        (UpscaleSettings(3, 2), (14, 18), "not a tile enlarged by 3"),
        (UpscaleSettings(2, 7), (14, 18), "has nothing inside an overlap of 7"),
    ],
)
def test_components_that_do_not_fit(settings, shape, complaint):
    with pytest.raises(BundleError, match=complaint):
        UpscalePipeline(settings, {"upscaler": Neighbours(*shape)}, {}, "tiny")


def test_networks_of_other_names_or_channels_do_not_fit():
    with pytest.raises(BundleError, match="not a tile enlarged by 2"):
        joined(channels=4)


# --- bundles ------------------------------------------------------------------------------------------------


def test_a_bundle_is_opened_by_its_task(upscale_bundle):
    pipeline = load(upscale_bundle, threads=1)
    assert isinstance(pipeline, UpscalePipeline)
    assert pipeline.parameters == {"model": "upscale-x2", "version": pipeline.version, "scale": SCALE}
    assert pipeline(picture()).images[0].size == (52, 40)


def test_every_tile_of_a_bundle_gives_the_same_picture(upscale_bundle):
    bundle, pixels = load_bundle(upscale_bundle), picture(30, 40)
    first, second = (UpscalePipeline.from_bundle(at_tile(bundle, tile), threads=1).upscale(pixels) for tile in (16, 24))
    assert np.abs(first.astype(int) - second).max() <= 1


def test_torch_and_litert_agree(upscale_bundle, upscale_weights):
    pixels = picture(30, 40)
    made = [
        load(upscale_bundle, **each).upscale(pixels) for each in ({}, {"backend": "torch", "weights": upscale_weights})
    ]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1


def test_tiles_that_a_bundle_lacks_are_refused(upscale_bundle):
    with pytest.raises(InputError, match="upscale-x2 has no tile of 32; its tiles: 24, 16"):
        at_tile(load_bundle(upscale_bundle), 32)
