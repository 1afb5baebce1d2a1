"""The flip test: components that see what they are shown mirrored, and answers that come back the right way round."""

import numpy as np
import pytest
import tiny_cutout as tiny

from mobigen import load
from mobigen.pipelines.cutout import CutoutPredictor
from mobigen.pipelines.flip import FlippedDecoder, FlippedEncoder
from mobigen.settings import CutoutSettings


def both_ways(photo):
    once = tiny.painted_predictor()
    twice = CutoutPredictor(CutoutSettings(tiny.SIZE, tiny.POINTS), once._components, {}, "cutout", flip_test=True)
    for predictor in (once, twice):
        predictor.set_image(photo)
    return once, twice


@pytest.mark.parametrize(
    "prompt",
    [
        {"point_coords": [[30, 45]], "point_labels": [1]},
        {"point_coords": [[30, 45], [44, 50]], "point_labels": [1, 0]},
        {"box": [20, 30, 50, 60]},
        {"box": [20, 30, 50, 60], "point_coords": [[30, 45]], "point_labels": [0]},
    ],
)
def test_who_answers_the_same_mirrored_is_answered_as_before(prompt):
    once, twice = both_ways(tiny.photo())
    for one, other in zip(once.predict(**prompt), twice.predict(**prompt), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)
    assert (twice.saliency()[0] != once.saliency()[0]).mean() < 0.01  # the painter takes every other column
    assert len(twice.everything(points_per_side=2)) == len(once.everything(points_per_side=2))


class Told:
    """A component that keeps what it is told and answers with what it is given."""

    signature = None

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, **inputs):
        self.calls.append(inputs)
        return self.answers[len(self.calls) - 1]


def test_the_encoder_sees_both_and_their_mean_stands_out():
    first, second = np.float32([[[[1, 2], [3, 4]]]]), np.float32([[[[0, 0], [2, 8]]]])
    encoder = Told({"embedding": first, "saliency": first}, {"embedding": second, "saliency": second})
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    found = FlippedEncoder(encoder)(image=image)
    np.testing.assert_array_equal(encoder.calls[1]["image"], image[:, :, ::-1])
    np.testing.assert_array_equal(found["embedding"], np.concatenate([first, second]))
    np.testing.assert_array_equal(found["saliency"], np.float32([[[[0.5, 1], [5.5, 3]]]]))


def test_the_decoder_is_told_where_things_are_in_the_mirror():
    masks = np.zeros((1, 3, 2, 2), np.float32)
    masks[..., 0] = 4
    decoder = Told({"masks": masks, "iou": np.float32([[1, 0, 0]])}, {"masks": masks, "iou": np.float32([[0, 1, 0]])})
    points, labels = np.float32([[[1, 2], [0, 0], [2, 3], [0, 0]]]), np.int32([[1, 2, 3, -1]])
    mask, features = np.float32([[[[1, 2], [3, 4]]]]), np.arange(2, dtype=np.float32)[:, None]
    found = FlippedDecoder(decoder, 4)(points=points, labels=labels, mask=mask, embedding=features)
    seen, mirrored = decoder.calls
    assert (seen["embedding"].tolist(), mirrored["embedding"].tolist()) == ([[0]], [[1]])
    np.testing.assert_array_equal(seen["points"], points)
    assert mirrored["points"][0, :3].tolist() == [[2, 2], [1, 0], [3, 3]]
    np.testing.assert_array_equal(mirrored["labels"], labels)
    np.testing.assert_array_equal(mirrored["mask"], mask[..., ::-1])
    np.testing.assert_array_equal(found["masks"], np.full((1, 3, 2, 2), 2))
    np.testing.assert_array_equal(found["iou"], [[0.5, 0.5, 0]])


def test_a_square_photo_and_its_mirror_image_are_answered_alike(cutout_bundle):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    answers = []
    for shown, x in ((picture, 20), (picture[:, ::-1], 43)):
        predictor = load(cutout_bundle, flip_test=True)
        predictor.set_image(shown)
        answers.append([predictor.saliency()[1], *predictor.predict([[x, 30]], [1])[1:]])
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(other[..., ::-1] if other.ndim > 1 else other, one, atol=1e-3)
