"""What is made takes its place whole, or all is as it was."""

import pytest

from mobigen.export.replacing import replacing


def test_a_new_file_takes_the_place_of_an_old_one(tmp_path):
    target = tmp_path / "deep" / "graph.tflite"
    for content in ("first", "second"):
        with replacing(target) as path:
            assert path.name == target.name
            path.write_text(content)
        assert target.read_text() == content
    assert [each.name for each in target.parent.iterdir()] == ["graph.tflite"]


def test_a_new_folder_takes_the_place_of_an_old_one(tmp_path):
    target = tmp_path / "graph.mlpackage"
    for content in ("first", "second"):
        with replacing(target) as path:
            path.mkdir()
            (path / content).touch()
        assert [each.name for each in target.iterdir()] == [content]
    assert [each.name for each in tmp_path.iterdir()] == ["graph.mlpackage"]


def fail_after(step):
    step()
    raise ValueError("inside")


@pytest.mark.parametrize("made", [True, False])
def test_after_an_error_all_is_as_it_was(tmp_path, made):
    target = tmp_path / "graph.mlpackage"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(ValueError, match="inside"), replacing(target) as path:
        fail_after(path.mkdir if made else path.exists)
    assert [each.name for each in target.iterdir()] == ["old"]
    assert [each.name for each in tmp_path.iterdir()] == ["graph.mlpackage"]


def test_a_folder_comes_back_if_nothing_was_made(tmp_path):
    target = tmp_path / "graph.mlpackage"
    target.mkdir()
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.is_dir()
