"""The error tree is the one that its docstring draws."""

import pytest

from mobigen import errors


@pytest.mark.parametrize(
    "name", ["ConfigError", "InputError", "WeightsError", "BundleError", "ExportError", "MissingExtraError"]
)
def test_every_error_is_a_mobigen_error(name):
    assert getattr(errors, name).__bases__ == (errors.MobigenError,)


def test_parity_is_a_kind_of_export_error():
    assert errors.ParityError.__bases__ == (errors.ExportError,)


def test_the_drawing_names_every_error():
    assert all(name in errors.__doc__ for name in errors.__all__ if name.endswith("Error"))
