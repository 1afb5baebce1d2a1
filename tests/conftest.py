"""A tiny sticker model and its bundle, which the tests make themselves."""

import os
import shutil
from pathlib import Path

import pytest
import tiny_bundle as tiny
import tiny_cutout
import tiny_upscale
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads: tiny networks only wait for a second thread
settings.register_profile("mobigen", deadline=None)  # the first call of a kernel takes long
settings.load_profile("mobigen")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A weights folder of a model named sticker, as training leaves it."""
    pytest.importorskip("torch")
    return tiny.tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def weights(tiny_weights, tmp_path):
    """A copy of the weights that a test may damage."""
    return Path(shutil.copytree(tiny_weights, tmp_path / "weights"))


@pytest.fixture(scope="session")
def exported_bundle(tiny_weights, tmp_path_factory):
    """The tiny model's bundle, <folder>/sticker. Not to be changed: `bundle_folder` is a copy for that."""
    pytest.importorskip("litert_torch")
    return tiny.tiny_bundle(tmp_path_factory.mktemp("export") / "sticker", tiny_weights)


@pytest.fixture
def bundle_folder(exported_bundle, tmp_path):
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(exported_bundle, tmp_path / "copy" / "sticker"))


@pytest.fixture(scope="session")
def pipeline(exported_bundle):
    """The tiny model on LiteRT."""
    from mobigen import load

    return load(exported_bundle, threads=1)


@pytest.fixture(scope="session")
def cutout_weights(tmp_path_factory):
    """A weights folder of a model named cutout, as training leaves it."""
    pytest.importorskip("torch")
    return tiny_cutout.write_weights(tmp_path_factory.mktemp("cutout-weights"))


@pytest.fixture(scope="session")
def cutout_bundle(cutout_weights, tmp_path_factory):
    """The tiny cutout model's bundle, <folder>/cutout. Not to be changed."""
    pytest.importorskip("litert_torch")
    return tiny_cutout.write_bundle(tmp_path_factory.mktemp("export") / "cutout", cutout_weights)


@pytest.fixture(scope="session")
def upscale_weights(tmp_path_factory):
    """A weights folder of a model named upscale-x2, as training leaves it."""
    pytest.importorskip("torch")
    return tiny_upscale.write_weights(tmp_path_factory.mktemp("upscale-weights"))


@pytest.fixture(scope="session")
def upscale_bundle(upscale_weights, tmp_path_factory):
    """The tiny upscaler's bundle, <folder>/upscale-x2, with tiles of 24 and 16. Not to be changed."""
    pytest.importorskip("litert_torch")
    return tiny_upscale.write_bundle(tmp_path_factory.mktemp("export") / "upscale-x2", upscale_weights)
