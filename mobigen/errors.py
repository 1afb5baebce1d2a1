"""The error tree: what every part of mobigen raises when a person can do something about it.

    MobigenError
    ├── ConfigError         a setting of a network, recipe or run that cannot work
    ├── InputError          a prompt, picture, option or output path that is not accepted
    ├── WeightsError        weights that are missing, damaged or of another network
    ├── BundleError         an export bundle that is missing, damaged or of another version
    ├── ExportError         a conversion that did not do what was asked
    │   └── ParityError     a converted graph that disagrees with its network
    └── MissingExtraError   an optional dependency that is not installed

A message is one line: what came, what is accepted, what to do next.
"""

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
]


class MobigenError(Exception):
    """Anything that mobigen refuses to do, with a message meant for the person who asked."""


class ConfigError(MobigenError):
    """A setting of a network, recipe or run that cannot work."""


class InputError(MobigenError):
    """A prompt, picture, option or output path that is not accepted."""


class WeightsError(MobigenError):
    """Weights that are missing, damaged or of another network."""


class BundleError(MobigenError):
    """An export bundle that is missing, damaged or of another version."""


class ExportError(MobigenError):
    """A conversion that did not do what was asked."""


class ParityError(ExportError):
    """A converted graph whose outputs are too far from its network's."""


class MissingExtraError(MobigenError):
    """An optional dependency that is not installed; the message names the extra that brings it."""


class MobigenWarning(UserWarning):
    """Something was done, but not quite as asked (a prompt's end was cut, say)."""
