"""The machine and the versions that a measurement was made with: times mean nothing without them."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mobigen import __version__

__all__ = ["describe_machine", "describe_versions"]


def describe_machine() -> dict[str, str | int]:
    """The processor, its cores and the system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of mobigen, Python and some packages, as far as they are installed."""
    found = {"mobigen": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    """Linux keeps the name in a file; elsewhere Python knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
