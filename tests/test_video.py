"""Videos written and read again."""

import numpy as np
import pytest

from mobigen.errors import InputError
from mobigen.video import open_video, write_video

SIZE, RATE = (48, 32), 12.5


def frames(count=5):
    """Each of one colour, brighter from frame to frame, red on the left and blue on the right."""
    for index in range(count):
        frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        frame[:, :24, 0] = frame[:, 24:, 2] = 60 + 40 * index
        yield frame


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "some.mp4"
    write_video(path, frames(), SIZE, RATE)
    return path


def test_frames_come_back_in_order_and_colour(path):
    video = open_video(path)
    assert (video.size, video.count) == (SIZE, 5)
    assert video.rate == pytest.approx(RATE)
    found = list(video.frames())
    assert len(found) == 5
    for wanted, seen in zip(frames(), found, strict=True):
        assert np.abs(seen[:, 2:20].mean((0, 1)) - wanted[0, 2]).max() < 12
        assert np.abs(seen[:, 28:46].mean((0, 1)) - wanted[0, -2]).max() < 12


def test_nothing_else_is_left(path):
    assert [each.name for each in path.parent.iterdir()] == ["some.mp4"]


def test_an_interrupted_file_is_not_left(tmp_path):
    def interrupted():
        yield from frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "some.mp4", interrupted(), SIZE, RATE)
    assert not list(tmp_path.iterdir())


def test_a_video_that_breaks_off_is_one_complaint(path, tmp_path, capfd):
    (tmp_path / "short.mp4").write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="not a video that can be read"):
        open_video(tmp_path / "short.mp4")
    assert capfd.readouterr() == ("", "")  # FFmpeg would add its own


def test_files_that_are_no_videos(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        open_video(tmp_path / "none.mp4")
    (tmp_path / "soup.mp4").write_bytes(b"soup" * 100)
    with pytest.raises(InputError, match="not a video that can be read"):
        open_video(tmp_path / "soup.mp4")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_video(tmp_path / "none" / "some.mp4", frames(1), SIZE, RATE)
