"""The cutout pipeline: SAM's call patterns, the photo's own size, and what is refused."""

import numpy as np
import pytest
import tiny_cutout as tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from mobigen import load
from mobigen.answers import DOUBT
from mobigen.errors import BundleError, InputError
from mobigen.pipelines import CutoutPredictor
from mobigen.settings import CutoutSettings


@pytest.fixture
def predictor():
    predictor = tiny.painted_predictor()
    predictor.set_image(tiny.photo())
    return predictor


# --- the calls of Segment Anything's published notebooks ----------------------------------------------------


def test_a_point_gives_three_masks(predictor):
    input_point, input_label = np.array([[60, 45]]), np.array([1])
    masks, scores, logits = predictor.predict(point_coords=input_point, point_labels=input_label, multimask_output=True)
    assert masks.shape == (3, 90, 120)
    assert masks.dtype == bool
    assert scores.shape == (3,)
    assert logits.shape == (3, 32, 32)
    assert (np.diff(masks.sum((1, 2))) > 0).all()
    assert masks[0, 45, 60]


def test_more_points_with_the_best_mask_of_the_first_answer(predictor):
    _, scores, logits = predictor.predict(np.array([[60, 45]]), np.array([1]))
    mask_input = logits[np.argmax(scores), :, :]
    masks, _, _ = predictor.predict(
        point_coords=np.array([[80, 45], [60, 45]]),
        point_labels=np.array([1, 0]),
        mask_input=mask_input[None, :, :],
        multimask_output=False,
    )
    assert masks.shape == (1, 90, 120)
    assert masks[0, 45, 80]
    assert not masks[0, 45, 60]


@pytest.mark.parametrize("box", [np.array([20, 30, 50, 60]), np.array([[20, 30, 50, 60]]), [20, 30, 50, 60]])
def test_a_box(predictor, box):
    masks, _, _ = predictor.predict(point_coords=None, point_labels=None, box=box, multimask_output=False)
    rows, columns = np.nonzero(masks[0])
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max(), rows.max()], [20, 30, 50, 60], atol=3)


def test_a_box_with_a_point_to_leave_out(predictor):
    box = np.array([20, 30, 80, 60])
    masks, _, _ = predictor.predict(np.array([[70, 45]]), np.array([0]), box=box, multimask_output=False)
    assert masks[0, 45, 30]


def test_logits_instead_of_masks(predictor):
    logits, _, _ = predictor.predict(np.array([[60, 45]]), np.array([1]), return_logits=True)
    masks, _, _ = predictor.predict(np.array([[60, 45]]), np.array([1]))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits > predictor.mask_threshold, masks)


def test_a_photo_can_be_forgotten_and_given_as_bgr(predictor):
    assert predictor.is_image_set
    assert predictor.original_size == (90, 120)
    predictor.reset_image()
    assert not predictor.is_image_set
    with pytest.raises(InputError, match="call set_image first"):
        predictor.predict(np.array([[1, 1]]), np.array([1]))
    picture = tiny.photo()
    picture[..., 0] = 77
    predictor.set_image(picture[..., ::-1], image_format="BGR")
    np.testing.assert_array_equal(predictor._known().pixels, picture)


# --- the photo's size ---------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(8, 300), st.integers(8, 300), st.data())
def test_a_click_is_answered_where_it_was_made_whatever_the_size(height, width, data):
    predictor = tiny.painted_predictor()
    predictor.set_image(np.zeros((height, width, 3), np.uint8))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    masks, _, _ = predictor.predict([[x, y]], [1])
    assert masks.shape == (3, height, width)
    assert masks[:, y, x].all()


@pytest.mark.parametrize("shape", [(10, 10), (1, 1), (12_000, 40), (30, 12_000)])
def test_tiny_and_huge_photos(shape):
    predictor = tiny.painted_predictor()
    predictor.set_image(np.zeros((*shape, 3), np.uint8))
    mask, _ = predictor.saliency()
    assert mask.shape == shape
    assert mask.all()
    assert predictor.cut(mask).shape == (*shape, 4)


def test_what_the_encoder_sees_is_padded_and_what_comes_back_is_not():
    predictor = tiny.painted_predictor()
    predictor.set_image(tiny.photo())
    seen = predictor._components["image_encoder"].calls[0]["image"]
    assert seen.shape == (1, 64, 64, 3)
    assert (seen[0, 48:] == (124, 116, 104)).all()
    assert (seen[0, :48] != (124, 116, 104)).all()


# --- the first mask -----------------------------------------------------------------------------------------


def test_what_stands_out_and_the_clicks_that_would_have_found_it(predictor):
    mask, logits = predictor.saliency()
    wanted = tiny.photo()[..., 0] < 64
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.8
    suggestion = predictor.suggest()
    np.testing.assert_allclose(suggestion.point_coords, [[35, 45]], atol=3)
    assert suggestion.point_labels.tolist() == [1]
    np.testing.assert_allclose(suggestion.box, [20, 30, 50, 60], atol=4)
    again, _, _ = predictor.predict(*suggestion[:2], mask_input=logits)
    assert again.shape == (3, 90, 120)


def test_nothing_that_stands_out_suggests_nothing():
    predictor = tiny.painted_predictor()
    predictor.set_image(np.full((30, 40, 3), 255, np.uint8))
    suggestion = predictor.suggest()
    assert suggestion.point_coords.shape == (0, 2)
    assert suggestion.box is None


def test_clicks_beside_the_object_alone_take_away_from_the_first_mask(predictor):
    masks, _, _ = predictor.predict([[27, 37]], [0], multimask_output=False)
    first, _ = predictor.saliency()
    assert first[37, 27]
    assert not masks[0, 37, 27]
    assert 0.5 * first.sum() < (masks[0] & first).sum() < first.sum()


def test_clicks_beside_the_object_alone_go_with_one_in_the_middle_of_the_mask_so_far(predictor):
    predictor.predict([[21, 31], [100, 10]], [0, 0])
    (call,) = predictor._components["click_decoder"].calls
    assert call["labels"][0, :4].tolist() == [1, 0, 0, -1]
    np.testing.assert_array_equal(call["mask"][0], DOUBT * predictor.saliency()[1])
    (x, y), *beside = predictor._known().letterbox.back(call["points"][0, :3])
    assert 20 <= x <= 50
    assert 30 <= y <= 60
    np.testing.assert_allclose(beside, [[21, 31], [100, 10]], atol=0.1)


def test_where_nothing_stands_out_clicks_beside_the_object_stay_alone():
    predictor = tiny.painted_predictor()
    predictor.set_image(np.full((64, 64, 3), 200, np.uint8))
    predictor.predict([[20, 20]], [0])
    assert predictor._components["click_decoder"].calls[-1]["labels"][0, :2].tolist() == [0, -1]


@pytest.mark.parametrize("labels", [[1, 0], [0, 0]])
def test_a_mask_that_is_corrected_is_shown_less_sure(predictor, labels):
    logits = predictor.saliency()[1]
    (shown,) = asked(predictor, [[35, 45], [90, 20]], labels, mask_input=logits)
    np.testing.assert_array_equal(shown[0], DOUBT * logits)


def asked(predictor, *arguments, **named):
    """The masks that the decoder was given, in the order of its calls."""
    decoder = predictor._components["click_decoder"]
    decoder.calls.clear()
    predictor.predict(*arguments, **named)
    return [call["mask"] for call in decoder.calls]


def test_a_click_that_means_what_stands_out_goes_with_the_first_mask():
    """The painted disk is 36 of the 64 places of a block that is hardly larger."""
    predictor = tiny.painted_predictor()
    block = np.full((64, 64, 3), 200, np.uint8)
    block[24:40, 24:40] = 10
    predictor.set_image(block)
    nothing, first = asked(predictor, np.array([[32, 32]]), np.array([1]))
    assert not nothing.any()
    np.testing.assert_array_equal(first[0, 0], 2 * predictor.saliency()[1][0])


@pytest.mark.parametrize("click", [(24, 45), (90, 45)])
def test_a_click_that_means_less_than_stands_out_or_something_else_does_not(predictor, click):
    assert not any(mask.any() for mask in asked(predictor, np.array([click]), np.array([1])))


def test_a_box_does_not_go_with_the_first_mask(predictor):
    (mask,) = asked(predictor, box=np.array([20, 30, 50, 60]))
    assert not mask.any()


@pytest.mark.parametrize(
    ("prompt", "first"),
    [
        ({"point_coords": [[60, 45], [20, 20], [80, 45]], "point_labels": [1, 0, 1]}, [1]),
        ({"point_coords": [[20, 20], [80, 45]], "point_labels": [0, 1]}, [1]),
        ({"point_coords": [[30, 40]], "point_labels": [0], "box": [20, 30, 50, 60]}, [2, 3]),
    ],
)
def test_several_clicks_at_once_correct_what_the_first_one_gave(predictor, prompt, first):
    predictor.predict(**prompt)
    begun, corrected = predictor._components["click_decoder"].calls
    assert begun["labels"][0, : len(first) + 1].tolist() == [*first, -1]
    assert not begun["mask"].any()
    assert (corrected["mask"] > 0).any()
    assert (corrected["labels"] >= 0).sum() == len(prompt["point_labels"]) + 2 * ("box" in prompt)


# --- cutouts and everything ---------------------------------------------------------------------------------


def test_a_cutout_is_the_object_and_nothing_else(predictor):
    logits, _ = predictor.saliency(return_logits=True)
    cut = predictor.cut(logits)
    assert cut.shape == (90, 120, 4)
    assert cut[45, 35].tolist() == [10, 20, 30, 255]
    assert cut[5, 100].tolist() == [0, 0, 0, 0]


def test_everything_has_the_fields_of_sams_generator(predictor):
    found = predictor.everything(points_per_side=4, min_area=0.0)
    assert len(found) >= 4
    for each in found:
        assert set(each) == {
            "segmentation", "area", "bbox", "predicted_iou", "point_coords", "stability_score", "crop_box",
        }  # fmt: skip
        assert each["segmentation"].shape == (90, 120)
        assert each["area"] == each["segmentation"].sum()
        x, y, width, height = each["bbox"]
        assert each["segmentation"][y : y + height, x : x + width].sum() == each["area"]
        assert each["crop_box"] == [0, 0, 120, 90]
    assert [each["area"] for each in found] == sorted((each["area"] for each in found), reverse=True)
    assert predictor.everything(points_per_side=4, pred_iou_thresh=0.99) == []


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to go by"),
        ({"point_coords": [[120, 5]], "point_labels": [1]}, r"120,5 is outside the photo; accepted: 0,0 to 119,89"),
        ({"point_coords": [[5, -1]], "point_labels": [1]}, "is outside the photo"),
        ({"point_coords": [[5, 5]], "point_labels": [2]}, "label 2; accepted: 1 on the object, 0"),
        ({"point_coords": [[5, 5]], "point_labels": None}, "point_labels"),
        ({"point_coords": [5, 5], "point_labels": [1]}, r"are \(2,\)"),
        ({"point_coords": [["a", 5]], "point_labels": [1]}, "not numbers"),
        ({"point_coords": [[np.nan, 5]], "point_labels": [1]}, "accepted"),
        ({"point_coords": [[5, 5], [5, 5]], "point_labels": [1, 0]}, "5,5 is clicked as the object and as not"),
        ({"point_coords": np.zeros((0, 2)), "point_labels": []}, "nothing to go by"),
        ({"point_coords": [[5, 5]] * 17, "point_labels": [1] * 17}, "17 clicks and corners; accepted: at most 16"),
        ({"box": [5, 5, 5, 9]}, "has no area"),
        ({"box": [500, 5, 600, 9]}, "is outside the photo of 120x90"),
        ({"box": [5, 5, 9]}, r"the shape \(3,\)"),
        ({"box": "here"}, "not numbers"),
        ({"mask_input": np.zeros((1, 256, 256), np.float32)}, r"accepted: logits of an earlier predict, \(1, 32, 32\)"),
        ({"mask_input": np.zeros((1, 32, 32), bool)}, "mask_input is bool"),
        ({"mask_input": np.full((1, 32, 32), np.nan)}, "not finite"),
    ],
)
def test_prompts_that_are_refused(predictor, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        predictor.predict(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)],
)
def test_photos_that_are_refused(image):
    with pytest.raises(InputError, match=r"accepted: uint8 \(height, width, 3\)"):
        tiny.painted_predictor().set_image(image)


def test_other_arguments_that_are_refused(predictor):
    with pytest.raises(InputError, match="accepted: RGB, BGR"):
        predictor.set_image(tiny.photo(), image_format="HSV")
    with pytest.raises(InputError, match=r"the mask is \(3, 3\)"):
        predictor.cut(np.zeros((3, 3), bool))
    with pytest.raises(InputError, match="points_per_side is 0"):
        predictor.everything(points_per_side=0)


# --- bundles ------------------------------------------------------------------------------------------------


def test_a_bundle_is_opened_by_its_task(cutout_bundle):
    predictor = load(cutout_bundle, threads=1)
    assert isinstance(predictor, CutoutPredictor)
    predictor.set_image(tiny.photo())
    masks, scores, logits = predictor.predict([[35, 45]], [1])
    assert masks.shape == (3, 90, 120)
    assert np.isfinite(logits).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_graphs_answer_as_the_networks_do(cutout_bundle, cutout_weights):
    answers = []
    for options in ({"threads": 1}, {"backend": "torch", "weights": cutout_weights}):
        predictor = load(cutout_bundle, **options)
        predictor.set_image(tiny.photo())
        answers.append(predictor.predict([[35, 45], [100, 10]], [1, 0], return_logits=True)[0])
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-3)


def test_components_of_another_task_are_refused():
    _, decoder = tiny.networks()
    components = {
        "image_encoder": tiny.Painter(decoder, tiny.disks),
        "click_decoder": tiny.Painter(decoder, tiny.disks),
    }
    with pytest.raises(BundleError, match=r"image_encoder is .* a cutout pipeline needs"):
        CutoutPredictor(CutoutSettings(tiny.SIZE, tiny.POINTS), components, {}, "cutout")
