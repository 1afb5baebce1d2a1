"""Export bundles: finds `export/<model>/`, reads its metadata.json, refuses missing or changed files."""

import hashlib
import json
import os
import site
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from mobigen.errors import BundleError
from mobigen.metadata import Artefact, BundledComponent, Metadata, read_metadata
from mobigen.record import REPAIR
from mobigen.registry import find_model
from mobigen.signature import Signature

__all__ = ["METADATA", "Bundle", "find_bundle", "load_bundle", "measure"]

METADATA = "metadata.json"


@dataclass(frozen=True)
class Bundle:
    """A folder whose metadata is valid and whose files are present with the right sizes."""

    folder: Path
    metadata: Metadata

    def signature(self, component: str) -> Signature:
        """The inputs and outputs of a component. Raises BundleError if the bundle has no such component."""
        return self._component(component).signature

    def function(self, component: str) -> str | None:
        """The name, in its graph, of the size that `signature` states; None if the graph has a single size."""
        found = self._component(component)
        return next((name for name, each in found.sizes.items() if each == found.signature), None)

    def graph(self, component: str, backend: str) -> Path:
        """The path of a component's graph, its contents checked against the recorded sha256.

        Raises:
            BundleError: the bundle has no such graph, or its contents were changed.
        """
        artefact = self.artefact(component, backend)
        return self._unchanged(artefact.file, artefact.sha256)

    def artefact(self, component: str, backend: str) -> Artefact:
        """What metadata.json says of a component's graph. Raises BundleError if the bundle has no such graph."""
        backends = self._component(component).backends
        if backend not in backends:
            raise BundleError(
                f"{self.folder} has no {backend} graph of {component}, only {', '.join(backends)}; "
                f"export it with `mobigen export {self.metadata.name} --to {backend}`"
            )
        return backends[backend]

    def files(self) -> dict[str, Path]:
        """The paths of the files beside the graphs, a tokenizer's say, by name; checked like a graph's."""
        return {name: self._unchanged(each.file, each.sha256) for name, each in self.metadata.files.items()}

    def _component(self, name: str) -> BundledComponent:
        components = self.metadata.components
        if name not in components:
            raise BundleError(f"{self.folder} has no component {name!r}, only {', '.join(components)}; {REPAIR}")
        return components[name]

    def _unchanged(self, file: str, expected: str) -> Path:
        path = self.folder / file
        try:
            _, found = measure(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror}); {REPAIR}") from error
        if found != expected:
            raise BundleError(f"{path} has sha256 {found[:12]}..., metadata says {expected[:12]}...; {REPAIR}")
        return path


def find_bundle(model: str | os.PathLike[str]) -> Path:
    """The folder of a bundle.

    Args:
        model: a registered name ("sticker"), looked for in $MOBIGEN_EXPORT, in the checkout's export/ and in
            the installed share/mobigen/export; or a folder's path, with a slash in it or as a `Path`.

    Raises:
        InputError: the name is not a model's.
        BundleError: no folder with a metadata.json was found.
    """
    if isinstance(model, os.PathLike) or "/" in model or os.sep in model:
        places = [Path(model)]
    else:
        places = [place / find_model(model).name for place in _export_folders()]
    for folder in places:
        if (folder / METADATA).is_file():
            return folder
    raise BundleError(f"no bundle (a folder with {METADATA}) at {', '.join(map(str, places))}; {REPAIR}")


def load_bundle(model: str | os.PathLike[str]) -> Bundle:
    """Find, read and check a bundle: the schema, every field, and each file's presence and size.

    Contents are checked against their sha256 later, when a graph's path is asked for.

    Raises:
        InputError: the name is not a model's.
        BundleError: the bundle is missing, damaged or of another schema version.
    """
    folder = find_bundle(model)
    try:
        values = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{folder / METADATA} cannot be read ({error}); {REPAIR}") from error
    metadata = read_metadata(values, str(folder / METADATA))
    _check_sizes(folder, metadata)
    return Bundle(folder, metadata)


def measure(path: Path) -> tuple[int, str]:
    """Size in bytes and sha256 of a file, or of a folder such as an .mlpackage.

    A folder's size is the sum over its files; its hash is over their sorted relative paths and own hashes.
    """
    if path.is_file():
        return path.stat().st_size, _file_sha256(path)
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(f"{file.relative_to(path).as_posix()}\0{_file_sha256(file)}\n".encode())
    return _size(path), digest.hexdigest()


def _export_folders() -> list[Path]:
    """Folders that may hold bundles, the first to be asked first."""
    chosen = os.environ.get("MOBIGEN_EXPORT")
    checkout = Path(__file__).resolve().parent.parent / "export"
    installed = [sysconfig.get_path("data"), site.getuserbase()]
    return [
        *([Path(chosen)] if chosen else []),
        checkout,
        *(Path(prefix, "share", "mobigen", "export") for prefix in installed),
    ]


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path)) if path.is_dir() else path.stat().st_size


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_sizes(folder: Path, metadata: Metadata) -> None:
    for extra in metadata.files.values():
        if not (folder / extra.file).is_file():
            raise BundleError(f"{folder / extra.file} is missing; {REPAIR}")
    for artefact in (each for component in metadata.components.values() for each in component.backends.values()):
        path = folder / artefact.file
        if not path.exists():
            raise BundleError(f"{path} is missing; {REPAIR}")
        if _size(path) != artefact.bytes:
            raise BundleError(f"{path} has {_size(path)} bytes, metadata says {artefact.bytes}; {REPAIR}")
