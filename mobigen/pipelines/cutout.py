"""Cutout: a photo, then clicks in; masks of the photo's size and RGBA cutouts out. Called as SAM's predictor is."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from mobigen import __version__
from mobigen.answers import DOUBT, best_answer, with_first_mask
from mobigen.bundle import Bundle
from mobigen.errors import BundleError, InputError
from mobigen.letterbox import Letterbox
from mobigen.pipelines.clicks import check_box, check_clicks, check_mask, check_photo
from mobigen.pipelines.everything import Candidate, agreement, grid, keep_different, record, stability
from mobigen.pipelines.flip import FlippedDecoder, FlippedEncoder
from mobigen.pipelines.matting import cut_out
from mobigen.pipelines.specks import without_specks
from mobigen.runtime import Component, load_component
from mobigen.settings import CutoutSettings
from mobigen.signature import Signature

__all__ = ["CutoutPredictor", "Suggestion"]

TENSORS = {  # what each component must take and give
    "image_encoder": (("image",), ("embedding", "middle", "detail", "saliency")),
    "click_decoder": (("embedding", "middle", "detail", "points", "labels", "mask"), ("masks", "iou")),
}
FEATURES = ("embedding", "middle", "detail")
OBJECTS = 3  # clicks that a first mask suggests at most
SMALL = 0.1  # of the largest salient region's area, from which another is suggested too
AWAY = 1 / 16  # of a mask's side, between clicks beside an object and one on it that nobody made


class Suggestion(NamedTuple):
    """The prompt that would have made the first mask: point_coords (N, 2), point_labels (N,), box (4,); N may be 0."""

    point_coords: np.ndarray
    point_labels: np.ndarray
    box: np.ndarray | None


class _Photo(NamedTuple):
    """A photo that clicks refer to, and what the encoder made of it."""

    pixels: np.ndarray
    letterbox: Letterbox
    features: dict[str, np.ndarray]
    saliency: np.ndarray  # logits (s, s)


class CutoutPredictor:
    """Finds objects in a photo with the components of a bundle; code written for `SamPredictor` runs unchanged."""

    mask_threshold = 0.0

    def __init__(
        self,
        settings: CutoutSettings,
        components: Mapping[str, Component],
        files: Mapping[str, Path],
        model: str,
        version: str = __version__,
        flip_test: bool = False,
    ) -> None:
        """Join the components of a model; `from_bundle` opens those of a bundle.

        Args:
            settings: the constants that the networks were made for.
            components: image_encoder and click_decoder, on any backend.
            files: none are needed.
            model, version: what a cutout's parameters are to say.
            flip_test: see the photo mirrored, too: better masks in twice the time.

        Raises:
            BundleError: a component does not fit the task.
        """
        _check_tensors({name: components[name].signature for name in TENSORS})
        self.model, self.version = model, version
        self._settings, self._components = settings, components
        if flip_test:
            decoder = FlippedDecoder(components["click_decoder"], settings.image_size)
            self._components = {"image_encoder": FlippedEncoder(components["image_encoder"]), "click_decoder": decoder}
        self._side = settings.image_size // 2  # of masks
        self._photo: _Photo | None = None

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        backend: str = "litert",
        threads: int | None = None,
        weights: str | PathLike[str] | None = None,
        flip_test: bool = False,
    ) -> "CutoutPredictor":
        """Open the networks of a bundle whose task is cutout; other arguments and errors as of `mobigen.load`."""
        metadata = bundle.metadata
        _check_tensors({name: bundle.signature(name) for name in TENSORS})  # before a graph is opened
        components = {name: load_component(bundle, name, backend, threads, weights) for name in TENSORS}
        return cls(metadata.settings, components, bundle.files(), metadata.name, metadata.version, flip_test)

    # --- the photo ------------------------------------------------------------------------------------------

    def set_image(self, image: np.ndarray, image_format: str = "RGB") -> None:
        """Read a photo; all later calls refer to it.

        Args:
            image: uint8 (H, W, 3), of any size.
            image_format: "RGB", or "BGR" as OpenCV reads files.

        Raises:
            InputError: it is something else.
        """
        pixels = check_photo(image)
        if image_format not in ("RGB", "BGR"):
            raise InputError(f"image_format is {image_format!r}; accepted: RGB, BGR")
        pixels = np.ascontiguousarray(pixels[..., ::-1] if image_format == "BGR" else pixels)
        height, width = pixels.shape[:2]
        box = Letterbox(height, width, self._settings.image_size)
        found = self._components["image_encoder"](image=box.square(pixels)[None])
        features = {name: found[name] for name in FEATURES}
        self._photo = _Photo(pixels, box, features, found["saliency"][0, 0])

    def reset_image(self) -> None:
        """Forget the photo."""
        self._photo = None

    @property
    def image_size(self) -> int:
        """Pixels a side of the square in which the networks see a photo."""
        return self._settings.image_size

    @property
    def is_image_set(self) -> bool:
        """Whether there is a photo."""
        return self._photo is not None

    @property
    def original_size(self) -> tuple[int, int]:
        """Height and width of the photo. Raises InputError without one."""
        return self._known().pixels.shape[:2]

    # --- masks ----------------------------------------------------------------------------------------------

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks of the object that is meant.

        Args:
            point_coords: (N, 2), x and y in pixels of the photo.
            point_labels: (N,), 1 on the object, 0 beside it.
            box: (4,) x0, y0, x1, y1 in pixels of the photo.
            mask_input: (1, s, s) logits of an earlier call, to be changed by the clicks.
            multimask_output: three masks; or the one that is expected to be best, after a further click also for being
                like the mask so far, and in a box for filling it.
            return_logits: masks as float32 instead of bool, above 0 on the object.

        Clicks beside the object alone take away from the mask so far, which is the first mask, `saliency`, if none is
        given; a click in the middle of what is left goes with them.

        Returns:
            masks (C, H, W) of the photo's size without specks, the IoU expected of each (C,), and the logits
            (C, s, s) as the network gave them.

        Raises:
            InputError: no photo, no prompt at all, or one that is not accepted.
        """
        photo = self._known()
        size = photo.pixels.shape[:2]
        points, labels = (
            np.concatenate(pair)
            for pair in zip(check_clicks(point_coords, point_labels, size), check_box(box, size), strict=True)
        )
        if not len(points) and mask_input is None:
            raise InputError("there is nothing to go by; give a click, a box or a mask, or take the first mask")
        mask = self._seen(photo, points, labels) if mask_input is None else check_mask(mask_input, self._side)
        corrected = mask_input is not None or not _first_prompt(labels).all()
        if 0 < len(points) < self._settings.max_points and not labels.any():
            points, labels = self._with_middle(photo, points, mask)
        logits, scores = self._decode(photo, points, labels, mask * DOUBT if corrected else mask)
        if not multimask_output:
            before = mask[0, 0] > 0 if corrected else None
            best = best_answer(logits > 0, scores, before, self._corners(photo, points, labels))
            logits, scores = logits[best : best + 1], scores[best : best + 1]
        clean = np.stack([without_specks(each, self._cells(photo, points), labels) for each in logits])
        return self._restored(photo, clean, return_logits), scores, logits

    def saliency(self, return_logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The first mask, without a click.

        Returns:
            A mask (H, W) of the photo's size, bool or float32 logits, and its logits (1, s, s) for `mask_input`.
        """
        photo = self._known()
        clean = without_specks(photo.saliency, np.zeros((0, 2)), np.zeros(0, np.int32))
        return self._restored(photo, clean[None], return_logits)[0], photo.saliency[None]

    def suggest(self) -> Suggestion:
        """The clicks and the box that would have made the first mask: a click in the middle of each salient region."""
        photo = self._known()
        height, width = (side // 2 for side in photo.letterbox.inner)
        mask = photo.saliency[:height, :width] > 0
        clicks = _middles(mask)
        if not len(clicks):
            return Suggestion(np.zeros((0, 2), np.float32), np.zeros(0, np.int32), None)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        corners = np.array([[columns[0] * 2, rows[0] * 2], [columns[-1] * 2 + 1, rows[-1] * 2 + 1]], np.float64)
        back = photo.letterbox.back(np.concatenate([clicks * 2 + 0.5, corners]))
        return Suggestion(back[:-2], np.ones(len(clicks), np.int32), back[-2:].reshape(4))

    def cut(self, logits: np.ndarray) -> np.ndarray:
        """The object alone, as RGBA with a soft, clean border.

        Args:
            logits: float32 (H, W) of the photo's size, from `predict` or `saliency` with return_logits; or a mask
                of bool.

        Returns:
            uint8 (H, W, 4) in RGBA order.

        Raises:
            InputError: no photo, or the logits are not of its size.
        """
        photo, found = self._known(), np.asarray(logits)
        if found.shape != photo.pixels.shape[:2]:
            raise InputError(f"the mask is {found.shape}; accepted: the photo's size, {photo.pixels.shape[:2]}")
        if found.dtype == bool:
            found = np.where(found, 6.0, -6.0)
        return cut_out(photo.pixels, found.astype(np.float32))

    def everything(
        self,
        points_per_side: int = 16,
        pred_iou_thresh: float = 0.65,
        stability_score_thresh: float = 0.0,  # the shipped model's probabilities are timid: right masks may have none
        nms_thresh: float = 0.7,
        min_area: float = 0.0005,
        agreement_thresh: float = 0.4,
    ) -> list[dict[str, Any]]:
        """All objects, the largest first, with the fields of SAM's automatic mask generator.

        Args:
            points_per_side: clicks along the photo's longer side.
            pred_iou_thresh: the least IoU that a mask must expect.
            stability_score_thresh: the least IoU of a mask with itself at thresholds a little higher and lower.
            nms_thresh: the most IoU that a mask may share with a better one.
            min_area: the least share of the photo.
            agreement_thresh: of the clicks in a mask, the least share that is answered with much the same mask.

        Returns:
            Dictionaries with segmentation (H, W) of bool, area, bbox (x, y, width, height), predicted_iou,
            point_coords, stability_score and crop_box.

        Raises:
            InputError: no photo, or `points_per_side` is not accepted.
        """
        photo = self._known()
        places = grid(photo.letterbox.height, photo.letterbox.width, points_per_side)
        answers = self._answers(photo, np.array(list(places)))
        least = min_area * answers[0].logits.size
        found = [
            each
            for each in answers
            if each.iou >= pred_iou_thresh
            and each.stability >= stability_score_thresh
            and each.agreement >= agreement_thresh
            and np.count_nonzero(each.logits > 0) >= least
        ]
        kept = keep_different(found, nms_thresh)
        records = [record(each, photo.letterbox.restore_inner) for each in kept]
        return sorted(records, key=lambda each: -each["area"])

    # --- insides --------------------------------------------------------------------------------------------

    def _known(self) -> _Photo:
        if self._photo is None:
            raise InputError("there is no photo yet; call set_image first")
        return self._photo

    def _answers(self, photo: _Photo, clicks: np.ndarray) -> list[Candidate]:
        """The mask that is expected to be best for each of `clicks` (N, 2), without what lies beside the photo."""
        nothing = np.zeros((1, 1, self._side, self._side), np.float32)
        height, width = (side // 2 for side in photo.letterbox.inner)
        on, cells, answers = np.ones(1, np.int32), self._cells(photo, clicks), []
        for click, cell in zip(clicks, cells, strict=True):
            masks, scores = self._decode(photo, click[None], on, nothing)
            logits = masks[scores.argmax(), :height, :width]
            answers.append((without_specks(logits, cell[None], on), float(scores.max()), stability(logits)))
        agreed = agreement(np.stack([logits > 0 for logits, _, _ in answers]), cells)
        return [
            Candidate(logits, (float(x), float(y)), score, steady, float(share))
            for (logits, score, steady), (x, y), share in zip(answers, clicks, agreed, strict=True)
        ]

    def _seen(self, photo: _Photo, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The logits (1, 1, s, s) that a person has seen who clicks like this.

        The network has learnt from clicks that correct a mask; given several at once and no mask, it does far worse.
        """
        if not labels.any():
            return photo.saliency[None, None]
        first = _first_prompt(labels)
        before = self._before(photo, points[first], labels[first])
        return before if first.all() else self._best(photo, points[first], labels[first], before)

    def _with_middle(self, photo: _Photo, beside: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points and labels: one in the middle of `mask` (1, 1, s, s), then those `beside` an object (N, 2).

        Told only what is not meant, the network takes away most of what is.
        """
        height, width = (side // 2 for side in photo.letterbox.inner)
        region = (mask[0, 0, :height, :width] > 0).astype(np.uint8)
        for x, y in self._cells(photo, beside).round().astype(int).tolist():
            cv2.circle(region, (x, y), round(AWAY * self._side), 0, cv2.FILLED)
        middle = photo.letterbox.back(_middles(region > 0)[:1] * 2 + 0.5)
        return np.concatenate([middle, beside]), np.array([1] * len(middle) + [0] * len(beside), np.int32)

    def _before(self, photo: _Photo, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """What goes with a first prompt: the first mask, if it is a click that means it, or nothing."""
        nothing = np.zeros((1, 1, self._side, self._side), np.float32)
        x, y = self._cells(photo, points[:1])[0].round().astype(int)
        if len(points) > 1 or photo.saliency[y, x] <= 0:
            return nothing
        alone = self._best(photo, points, labels, nothing)[0, 0]
        return with_first_mask(alone, photo.saliency)[None, None]

    def _best(self, photo: _Photo, points: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The logits (1, 1, s, s) of the mask that is expected to be best."""
        logits, scores = self._decode(photo, points, labels, mask)
        return logits[best_answer(logits > 0, scores, corners=self._corners(photo, points, labels))][None, None]

    def _corners(self, photo: _Photo, points: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
        """Of the box (2, 2), in cells of a mask; None without one."""
        return self._cells(photo, points[labels > 1]) if (labels > 1).any() else None

    def _decode(
        self, photo: _Photo, points: np.ndarray, labels: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (3, s, s) and scores (3,). Raises InputError for more points than the network takes."""
        most = self._settings.max_points
        if len(points) > most:
            raise InputError(f"there are {len(points)} clicks and corners; accepted: at most {most}")
        places, kinds = np.zeros((1, most, 2), np.float32), np.full((1, most), -1, np.int32)
        if len(points):
            places[0, : len(points)] = photo.letterbox.points(points)
            kinds[0, : len(points)] = labels
        found = self._components["click_decoder"](**photo.features, points=places, labels=kinds, mask=mask)
        return found["masks"][0].copy(), found["iou"][0].copy()

    def _cells(self, photo: _Photo, points: np.ndarray) -> np.ndarray:
        """Points of the photo -> x and y in cells of a mask."""
        return ((photo.letterbox.points(points) + 0.5) / 2 - 0.5).clip(0, self._side - 1)

    def _restored(self, photo: _Photo, logits: np.ndarray, as_logits: bool) -> np.ndarray:
        """(C, s, s) -> (C, H, W), one by one: of a large photo, all at once would take gigabytes."""
        restored = (photo.letterbox.restore(each) for each in logits)
        return np.stack([each if as_logits else each > self.mask_threshold for each in restored])


def _first_prompt(labels: np.ndarray) -> np.ndarray:
    """Which of the clicks and corners (N,) of bool begin: the box, or else the first click on the object, if any."""
    corners = labels > 1
    if corners.any():
        return corners
    return (np.arange(len(labels)) == labels.argmax()) & labels.any() if len(labels) else corners


def _middles(mask: np.ndarray) -> np.ndarray:
    """x and y (N, 2) of a cell in the middle of each large region of a mask (h, w), the largest first."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = [each for each in np.argsort(-areas)[:OBJECTS] if areas[each] >= SMALL * areas.max()]
    return np.array([_middle(regions == index + 1) for index in largest], np.float64).reshape(-1, 2)


def _middle(region: np.ndarray) -> tuple[int, int]:
    """x and y of the place in a region (h, w) that is farthest from its border."""
    distance = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(x), int(y)


def _check_tensors(signatures: Mapping[str, Signature]) -> None:
    for name, (inputs, outputs) in TENSORS.items():
        sides = signatures[name].inputs, signatures[name].outputs
        found = tuple(tuple(spec.name for spec in side) for side in sides)
        if found != (inputs, outputs):
            raise BundleError(f"{name} is {found}, a cutout pipeline needs {(inputs, outputs)}")
