"""`mobigen evaluate sticker`: how well pictures say what was asked, how near they are to real ones, and what copies.

The judge is a dual encoder trained on real stickers only; it is itself checked on real stickers that it did not see,
and the generated ones are scored as a share of that. Teacher and student draw the same captions, each from the same
first noise.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from mobigen.data.captions import clean_name, with_article
from mobigen.data.latents import Conditions
from mobigen.data.stickers import STYLES, StickerSet, load_stickers, premultiply
from mobigen.data.words import token_ids
from mobigen.diffusion.flow import shifted_times
from mobigen.errors import WeightsError
from mobigen.media import contact_sheet
from mobigen.models.autoencoder import Decoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.text_encoder import TextEncoder
from mobigen.sampling import euler
from mobigen.train.flow import GUIDANCE, SHIFT, guided_velocity, sample_teacher
from mobigen.train.loop import REPORT_EVERY
from mobigen.train.scores import frechet_distance, has_colour, retrieval_accuracy, to_uint8

__all__ = ["COLOURS", "OBJECTS", "UNSEEN_WORDS", "evaluate_sticker"]

TEACHER_STEPS = 20
AMONG = 100  # captions in a retrieval
CHUNK = 32  # pictures at once
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
OBJECTS = (
    "car", "balloon", "heart", "cat", "dog", "bird", "fish", "flower", "book", "umbrella",
    "hat", "shirt", "shoe", "cup", "key", "house", "star", "butterfly", "mushroom", "guitar",
)  # fmt: skip
UNSEEN_WORDS = {  # words that no caption holds -> the name that a picture of them should be matched with
    "physician": "health worker", "canine": "dog", "pooch": "dog", "mutt": "dog", "stallion": "horse", "pony": "horse",
    "piglet": "pig", "hog": "pig", "hen": "chicken", "toad": "frog", "alligator": "crocodile", "reindeer": "deer",
    "chimpanzee": "monkey", "lioness": "lion", "parakeet": "parrot", "macaw": "parrot", "falcon": "eagle",
    "vulture": "eagle", "owlet": "owl", "orca": "whale", "moth": "butterfly", "wasp": "honeybee", "tarantula": "spider",
    "calf": "cow", "rodent": "mouse", "cottage": "house", "residence": "house", "fortress": "castle",
    "cathedral": "church", "skyscraper": "office building", "aircraft": "airplane", "motorbike": "motorcycle",
    "kayak": "canoe", "starship": "rocket", "spectacles": "glasses", "cellphone": "mobile phone", "telly": "television",
    "policeman": "police officer", "fiddle": "violin", "sobbing": "loudly crying face",
}  # fmt: skip


@dataclass
class StickerModel:
    """The networks of the sticker model on one device, and how they draw."""

    text_encoder: TextEncoder
    tokenizer: Tokenizer
    decoder: Decoder
    student: Denoiser
    teacher: Denoiser | None
    judge: DualEncoder
    sampler: dict[str, Any]  # as in pipeline.json
    device: torch.device
    report: Callable[[str], None]  # told now and then how far drawing has come

    @classmethod
    def load(cls, weights: Path, device: torch.device, report: Callable[[str], None]) -> StickerModel:
        """Reads a folder of components; the teacher may be absent.

        Raises:
            WeightsError: another component is missing or damaged.
        """
        pipeline, judge = weights / "pipeline.json", weights / DualEncoder.component
        if not pipeline.is_file():
            raise WeightsError(f"no {pipeline}; give a folder like weights/sticker")
        if not judge.is_dir():
            raise WeightsError(
                f"no judge at {judge}; give weights/sticker, too, or train one by `mobigen train sticker-dual-encoder`"
            )
        has_teacher = (weights / "teacher").is_dir()
        return cls(
            text_encoder=TextEncoder.from_pretrained(weights / "text_encoder").to(device),
            tokenizer=Tokenizer.from_file(str(weights / "tokenizer.json")),
            decoder=Decoder.from_pretrained(weights / "decoder").to(device),
            student=Denoiser.from_pretrained(weights / "denoiser").to(device),
            teacher=Denoiser.from_pretrained(weights / "teacher").to(device) if has_teacher else None,
            judge=DualEncoder.from_pretrained(judge).to(device),
            sampler=json.loads(pipeline.read_text())["sampler"],
            device=device,
            report=report,
        )

    @property
    def steps(self) -> list[int]:
        """The numbers of steps that the student offers."""
        return [int(steps) for steps in self.sampler["times"]]

    def conditions(self, prompts: Sequence[str], styles: Sequence[int]) -> Conditions:
        """What the denoiser is told for B prompts and style indices."""
        ids = torch.from_numpy(token_ids(self.tokenizer, prompts)).to(self.device)
        chosen = torch.tensor(styles, device=self.device)
        states, mask = self.text_encoder(ids)
        return Conditions(states, mask, torch.nn.functional.one_hot(chosen, len(STYLES)).float())

    @torch.no_grad()
    def draw(
        self, prompts: Sequence[str], styles: Sequence[int], steps: int | None, seed: int = 0
    ) -> NDArray[np.uint8]:
        """Pictures (B, H, W, 4) by the student in `steps`, or by the teacher where `steps` is None."""
        pictures, reported = [], time.monotonic()
        for start in range(0, len(prompts), CHUNK):
            if time.monotonic() - reported > REPORT_EVERY:
                self.report(f"drawn {start} of {len(prompts)}")
                reported = time.monotonic()
            source = torch.Generator().manual_seed(seed + start)  # whatever the sampler has drawn before
            told = self.conditions(prompts[start : start + CHUNK], styles[start : start + CHUNK])
            pictures.append(to_uint8(self.decoder(self._latents(told, steps, source))))
        return np.concatenate(pictures)

    def _latents(self, told: Conditions, steps: int | None, source: torch.Generator) -> Tensor:
        size, count = self.student.latent_size, len(told.style)
        noise = torch.randn((count, self.student.latent_channels, size, size), generator=source).to(self.device)
        if steps is None:
            assert self.teacher is not None
            times = shifted_times(TEACHER_STEPS, SHIFT)
            return sample_teacher(self.teacher, noise, told, times, GUIDANCE)[-1]
        scale = self.sampler.get("guidance")

        def denoise(noisy: Tensor, time: float, until: float) -> Tensor:
            times, ends = (torch.full((count,), each, device=self.device) for each in (time, until))
            if scale is None:
                return self.student(noisy, times, *told, ends)
            return guided_velocity(self.student, noisy, times, told, scale)

        *_, last = euler(denoise, noise, self.sampler["times"][str(steps)])
        return last.latent

    @torch.no_grad()
    def embed_pictures(self, pictures: NDArray[np.uint8] | Tensor) -> Tensor:
        """The judge's unit vectors (N, D) of uint8 pictures (N, H, W, 4)."""
        chunks = torch.as_tensor(pictures).split(CHUNK)
        return torch.cat([self.judge.embed_image(premultiply(chunk.to(self.device))) for chunk in chunks])

    @torch.no_grad()
    def embed_captions(self, captions: Sequence[str]) -> Tensor:
        """The judge's unit vectors (N, D) of captions."""
        told = self.conditions(captions, [0] * len(captions))
        return self.judge.embed_text(told.text_states, told.text_mask)


def evaluate_sticker(
    data: Path, weights: Path, out: Path, report: Callable[[str], None], samples: int = 400
) -> dict[str, Any]:
    """Scores the sticker model, and writes `scores.json`, `samples.png` and `nearest.png` into `out`.

    Args:
        data: as in training; holds `stickers/*.tar`.
        weights: a folder of components, like weights/sticker.
        out: for the results, and the cache of decoded stickers.
        report: told a line whenever a part is done, and now and then how far it is.
        samples: pictures a row of the table is measured on.

    Returns:
        `real`, `students` (by steps), `teacher` if its weights are there: each with `retrieval`, `share` of the real
        one, and `frechet`; `colour` and `unseen_words`: shares at each number of steps.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = StickerModel.load(weights, device, report)
    folder = data / "stickers"
    stickers = load_stickers(folder if folder.is_dir() else data, out / "cache", recoloured=0)
    seen, unseen = stickers.held_out()
    real = _pick(unseen, samples)
    scores: dict[str, Any] = {"samples": len(real.stickers), "real": _score_real(model, real, seen)}
    report(f"real, not seen by the judge: {scores['real']}")
    scores["students"] = {}
    for steps in model.steps:
        scores["students"][str(steps)] = _score(model, real, steps, scores["real"])
        report(f"student, steps {steps}: {scores['students'][str(steps)]}")
    if model.teacher is not None:
        scores["teacher"] = _score(model, real, None, scores["real"])
        report(f"teacher, {TEACHER_STEPS} guided steps: {scores['teacher']}")
    scores["colour"] = {str(steps): _colour_score(model, steps) for steps in model.steps}
    report(f"right colour: {scores['colour']}")
    scores["unseen_words"] = {str(steps): _unseen_score(model, stickers, steps) for steps in model.steps}
    report(f"unseen words: {scores['unseen_words']}")
    _write_samples(model, seen, real, out)
    (out / "scores.json").write_text(json.dumps(scores, indent=2))
    return scores


def _pick(stickers: StickerSet, count: int) -> StickerSet:
    order = list(range(len(stickers.stickers)))
    random.Random(1).shuffle(order)
    return stickers.subset(sorted(order[:count]))


def _captions(stickers: StickerSet) -> list[str]:
    return [with_article(clean_name(sticker.name) or "symbol") for sticker in stickers.stickers]


def _names(stickers: StickerSet) -> list[str]:
    return [sticker.name for sticker in stickers.stickers]


def _score_real(model: StickerModel, real: StickerSet, seen: StickerSet) -> dict[str, float]:
    """Retrieval on real stickers, and the Fréchet distance between as many real ones of both sides of the split."""
    vectors = model.embed_pictures(real.images)
    others = model.embed_pictures(_pick(seen, len(real.stickers)).images)
    accuracy = retrieval_accuracy(vectors, model.embed_captions(_captions(real)), _names(real), AMONG)
    return {"retrieval": round(accuracy, 4), "frechet": round(frechet_distance(vectors, others), 4)}


def _score(model: StickerModel, real: StickerSet, steps: int | None, reference: dict[str, float]) -> dict[str, float]:
    """The same, for pictures drawn from the real ones' captions in their styles."""
    captions = _captions(real)
    pictures = model.draw(captions, [sticker.style for sticker in real.stickers], steps)
    vectors = model.embed_pictures(pictures)
    accuracy = retrieval_accuracy(vectors, model.embed_captions(captions), _names(real), AMONG)
    distance = frechet_distance(vectors, model.embed_pictures(real.images))
    share = accuracy / max(reference["retrieval"], 1e-9)
    return {"retrieval": round(accuracy, 4), "share": round(share, 4), "frechet": round(distance, 4)}


def _colour_score(model: StickerModel, steps: int) -> float:
    """Share of COLOURS x OBJECTS, in the default style, that show the asked colour."""
    pairs = [(colour, thing) for thing in OBJECTS for colour in COLOURS]
    pictures = model.draw([f"a {colour} {thing}" for colour, thing in pairs], [0] * len(pairs), steps)
    hits = [has_colour(picture, colour) for picture, (colour, _) in zip(pictures, pairs, strict=True)]
    return round(float(np.mean(hits)), 4)


def _unseen_score(model: StickerModel, stickers: StickerSet, steps: int) -> float:
    """Share of UNSEEN_WORDS whose picture the judge matches with the known name among AMONG captions."""
    known = sorted(set(UNSEEN_WORDS.values()))
    others = sorted({clean_name(sticker.name) for sticker in stickers.stickers} - set(known) - {""})
    rivals = random.Random(2).sample(others, min(AMONG - len(known), len(others)))
    names = [*known, *rivals]
    pictures = model.draw([with_article(word) for word in UNSEEN_WORDS], [0] * len(UNSEEN_WORDS), steps)
    similarity = model.embed_pictures(pictures) @ model.embed_captions([with_article(name) for name in names]).T
    chosen = [names[index] for index in similarity.argmax(1).tolist()]
    return round(
        float(np.mean([name == wanted for name, wanted in zip(chosen, UNSEEN_WORDS.values(), strict=True)])), 4
    )


def _write_samples(model: StickerModel, seen: StickerSet, real: StickerSet, out: Path) -> None:
    """32 pictures of the student, and beside each the training picture that the judge finds nearest."""
    chosen = _pick(real, 32)
    pictures = model.draw(_captions(chosen), [sticker.style for sticker in chosen.stickers], max(model.steps))
    nearest = (model.embed_pictures(pictures) @ model.embed_pictures(seen.images).T).argmax(1).tolist()
    beside = [seen.images[index].numpy() for index in nearest]
    names = _names(chosen)
    pairs = [each for pair in zip(pictures, beside, strict=True) for each in pair]
    labels = [label for name, index in zip(names, nearest, strict=True) for label in (name, seen.stickers[index].name)]
    _write_sheet(list(pictures), names, out / "samples.png")
    _write_sheet(pairs, labels, out / "nearest.png")


def _write_sheet(pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str], path: Path) -> None:
    contact_sheet([Image.fromarray(picture) for picture in pictures], labels, columns=8).save(path)
