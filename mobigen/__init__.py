"""mobigen: generative media models that fit in a phone."""

from typing import TYPE_CHECKING

from mobigen.errors import (
    BundleError,
    ConfigError,
    ExportError,
    InputError,
    MissingExtraError,
    MobigenError,
    MobigenWarning,
    ParityError,
    WeightsError,
)

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "ConfigError",
    "ExportError",
    "InputError",
    "MissingExtraError",
    "MobigenError",
    "MobigenWarning",
    "ParityError",
    "WeightsError",
    "__version__",
    "load",
]


def load(
    model: "str | PathLike[str]",
    backend: str = "litert",
    threads: int | None = None,
    weights: "str | PathLike[str] | None" = None,
    **options: "Any",
) -> "Any":
    """The pipeline of a model, ready to be called: a class of `mobigen.pipelines`, by the model's task.

    Args:
        model: a name from `mobigen models`, such as "sticker", or a bundle's folder (with a slash in it).
        backend: "litert" (default), "torch" (the networks themselves) or "coreml" (macOS).
        threads: CPU threads of the backend; None leaves the choice to it.
        weights: the model's weights folder, for "torch" only; None looks in the usual places.
        options: what the pipeline of the task takes besides: flip_test for a cutout model.

    Raises:
        InputError: there is no such model or backend, or the bundle holds bare networks.
        BundleError: the bundle is missing, damaged or of another version.
        WeightsError: the weights are missing or do not fit the bundle.
        MissingExtraError: the backend needs an optional dependency.
    """
    from mobigen.bundle import load_bundle  # here, so that `import mobigen` stays light
    from mobigen.pipelines import open_pipeline

    return open_pipeline(load_bundle(model), backend, threads, weights, **options)
