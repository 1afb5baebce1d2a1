"""Video files frame by frame through OpenCV: without sound, which it does not read."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mobigen.errors import InputError
from mobigen.quiet import quiet_descriptors

__all__ = ["Video", "open_video", "write_video"]

CODEC = "mp4v"  # MPEG-4 part 2: the one that every build of OpenCV can write
USUAL_RATE = 30.0  # frames a second, where a file does not say


@dataclass(frozen=True)
class Video:
    """A file that can be read: its frames' width and height, their rate a second, and about how many there are."""

    path: Path
    size: tuple[int, int]
    rate: float
    count: int

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 (H, W, 3) of RGB order, upright as the file says. Raises InputError if there are none."""
        capture, found = cv2.VideoCapture(str(self.path)), False
        try:
            while True:
                going_on, frame = capture.read()
                if not going_on:
                    break
                found = True
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()
        if not found:
            raise InputError(f"{self.path} holds no frames that can be read; save it again as H.264 in .mp4")


def open_video(path: str | os.PathLike[str]) -> Video:
    """Look at a video file. Raises InputError if it is missing or cannot be read."""
    if not Path(path).is_file():
        raise InputError(f"there is no file {path}")
    with quiet_descriptors(2):  # FFmpeg says there what the error below says
        capture = cv2.VideoCapture(str(path))
    try:
        readable, frame = capture.read()  # the first: a file's own statement of its size may be of before it is turned
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    if not readable:
        raise InputError(f"{path} is not a video that can be read; save it again as H.264 in .mp4")
    height, width = frame.shape[:2]
    return Video(Path(path), (width, height), rate if 0 < rate < 1000 else USUAL_RATE, max(int(count), 1))


def write_video(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], rate: float) -> None:
    """Write RGB frames (H, W, 3) as an .mp4, to a temporary name that is then renamed.

    Raises:
        InputError: the file cannot be written.
    """
    temporary = path.with_name(f".mobigen-{os.urandom(6).hex()}.part.mp4")
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*CODEC), rate, size)
    try:
        if not writer.isOpened():
            raise InputError(f"cannot write {path} of {size[0]}x{size[1]}; choose another place, or a smaller scale")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place or make room") from error
    finally:
        writer.release()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
