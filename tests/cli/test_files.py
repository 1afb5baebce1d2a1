"""Where results go, and batches."""

from pathlib import Path

import pytest

from mobigen.cli.files import Target, make_folder, run_batch
from mobigen.errors import InputError


def target(output, results=1, sources=()):
    return Target(str(output), (".png", ".webp"), results, "pictures", list(map(str, sources)))


def test_a_suffix_makes_a_file_unless_a_slash_or_a_folder_says_otherwise(tmp_path):
    (tmp_path / "v1.0").mkdir()
    assert target(tmp_path / "fox.WEBP").file == tmp_path / "fox.WEBP"
    for folder in ("out", "v1.0", "v2.0/"):
        assert target(f"{tmp_path}/{folder}").file is None
        assert target(f"{tmp_path}/{folder}").folder == tmp_path / folder


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"fox\.bmp does not end in \.png or \.webp; to make it a folder, add a slash"):
        target("fox.bmp")
    with pytest.raises(InputError, match=r"fox\.png is one file for 2 pictures; give a folder"):
        target("fox.png", 2)


def test_the_folder_of_a_result_is_made_and_no_name_is_given_twice(tmp_path):
    place = target(tmp_path / "new" / "out", 3)
    assert not place.folder.exists()
    assert [place.path("a.b.png").name for _ in range(3)] == ["a.b.png", "a.b_again.png", "a.b_again_again.png"]
    assert place.folder.is_dir()
    assert target(tmp_path / "other" / "fox.png").path("ignored.png") == tmp_path / "other" / "fox.png"


def test_a_result_never_replaces_a_source(tmp_path):
    for name in ("fox.png", "fox_x2.png"):
        (tmp_path / name).touch()
    (tmp_path / "in").symlink_to(tmp_path)
    place = target(tmp_path, 2, [tmp_path / "none.png", tmp_path / "fox.png", tmp_path / "in" / "fox_x2.png"])
    for name in ("fox.png", "fox_x2.png"):
        with pytest.raises(InputError, match=rf"{name} would replace a file that is given; give another -o"):
            place.path(name)
    assert place.path("none.png") == tmp_path / "none.png"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "sub")


def test_a_batch_goes_on_behind_what_is_refused(capsys, tmp_path):
    def make(number, name):
        if name == "bad":
            raise InputError("no such file")
        return Path(f"{name}-{number}")

    with pytest.raises(InputError, match="1 of 3 files were refused: bad"):
        run_batch(["a", "bad", "c"], make, target(tmp_path, 3))
    assert capsys.readouterr() == ("a-1\nc-3\n", "error: no such file\n")
    with pytest.raises(InputError, match="no such file"):
        run_batch(["bad"], make, target(tmp_path))


@pytest.mark.parametrize("accepted", [[], ["good"]])
def test_new_folders_stay_only_if_something_comes_into_them(tmp_path, accepted):
    names = ["bad", *accepted, "worse"]
    place = target(tmp_path / "new" / "out", len(names))

    def make(number, name):
        path = place.path(f"{name}.png")
        if name not in accepted:
            raise InputError("no such file")
        path.touch()
        return path

    with pytest.raises(InputError, match="files were refused: bad"):
        run_batch(names, make, place)
    assert [path.name for path in tmp_path.rglob("*.png")] == [f"{name}.png" for name in accepted]
    assert (tmp_path / "new").exists() == bool(accepted)


def test_a_folder_that_was_there_stays(tmp_path):
    place = target(tmp_path / "out")
    place.folder.mkdir()
    old = target(place.folder)
    old.path("fox.png")
    old.tidy()
    assert place.folder.is_dir()
