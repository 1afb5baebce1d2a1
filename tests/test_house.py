"""The rules of the house, read from the source of every file."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mobigen"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room, and the rooms that it may import; rooms of a half stand in the order of that half.
RUNTIME = {
    "errors": set(),
    "signature": {"errors"},
    "registry": {"errors"},
    "record": {"errors"},
    "settings": {"record"},
    "metadata": {"errors", "signature", "record", "settings"},
    "bundle": {"errors", "signature", "registry", "record", "metadata"},
    "media": {"errors"},
    "letterbox": {"errors"},
    "answers": set(),
    "png": {"media"},
    "quiet": set(),
    "video": {"errors", "quiet"},
    "luma": set(),
    "bicubic": set(),
    "sampling": {"errors"},
    "runtime": {"errors", "signature", "registry", "record", "bundle", "quiet"},
    "pipelines": {
        "errors",
        "signature",
        "settings",
        "bundle",
        "media",
        "letterbox",
        "answers",
        "luma",
        "bicubic",
        "sampling",
        "runtime",
        "",
    },  # "" for the version
    "bench": {"errors", "signature", "bundle", "runtime", "pipelines", ""},
    "": {"errors", "bundle", "pipelines"},  # mobigen/__init__.py
    "__main__": {"cli"},
}
FOUNDATION = {"errors", "signature"}
TOOLS = FOUNDATION | {  # free for the making half
    *("", "registry", "sampling", "media", "letterbox", "answers", "luma", "bicubic"),
}
MAKING = {
    "nn": FOUNDATION,
    "models": FOUNDATION | {"nn"},
    "quantization": FOUNDATION | {"nn", "models"},
    "diffusion": TOOLS | {"nn", "models"},
    "data": TOOLS | {"nn", "models"},
    "train": TOOLS | {"nn", "models", "quantization", "diffusion", "data"},
    "distill": TOOLS | {"nn", "models", "quantization", "diffusion", "data", "train"},
    "recipes": TOOLS | {"nn", "models", "quantization", "diffusion", "data", "train", "distill", "pipelines", "bundle"},
    "export": TOOLS
    | {"models", "quantization", "record", "settings", "metadata", "bundle", "quiet", "runtime", "pipelines", "bench"},
}
ROOMS = RUNTIME | MAKING
EXCEPTIONS = {"runtime/torch.py": {"models"}}
ONLY_IN = {  # a package, and the files that may import it
    "coremltools": {"export/coreml.py", "export/reference/package.py", "runtime/coreml.py"},
    "litert_torch": {"export/litert.py"},
    "torch": {"runtime/torch.py"},  # of the runtime half
    "safetensors": set(),
    "huggingface_hub": set(),
    "accelerate": set(),
    "webdataset": set(),
}


def place(file):
    return file.relative_to(PACKAGE).as_posix()


def room(file):
    """The room of a file: its top folder, or its own name."""
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(file, top_level_only=False):
    """All modules that a file imports, in full."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from _from(node)


def _from(node):
    """`from mobigen import x` may mean the module mobigen.x."""
    for alias in node.names:
        module = PACKAGE / alias.name
        inner = node.module == "mobigen" and (module.is_dir() or module.with_suffix(".py").exists())
        yield f"mobigen.{alias.name}" if inner else node.module


def own_rooms(file, **options):
    for module in imports(file, **options):
        parts = module.split(".")
        if parts[0] == "mobigen":
            yield parts[1] if len(parts) > 1 else ""


def test_there_are_files_to_check():
    assert len(FILES) > 20
    assert {"errors.py", "cli/__init__.py", "runtime/torch.py", "pipelines/text_to_image.py"} <= set(map(place, FILES))


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_go_downwards_only(file):
    here = room(file)
    if here == "cli":  # its commands import what they run, inside; at start-up it is light
        assert set(own_rooms(file, top_level_only=True)) <= {"", "errors", "registry", "cli"}
        return
    allowed = ROOMS[here] | {here} | EXCEPTIONS.get(place(file), set())
    assert set(own_rooms(file)) <= allowed


@pytest.mark.parametrize("file", FILES, ids=place)
def test_heavy_packages_stay_in_their_rooms(file):
    found = {module.partition(".")[0] for module in imports(file)}
    for package in ("coremltools", "litert_torch"):
        assert package not in found or place(file) in ONLY_IN[package]
    if room(file) in RUNTIME or room(file) == "cli":
        for package, files in ONLY_IN.items():
            assert package not in found or place(file) in files


@pytest.mark.parametrize("file", FILES, ids=place)
def test_the_first_line_says_what_the_file_is(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 20


@pytest.mark.parametrize("file", FILES, ids=place)
def test_all_names_what_can_be_imported(file):
    if file.name == "__main__.py":
        pytest.skip("runs the command line")
    module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for name in getattr(module, "__all__", []):
        assert hasattr(module, name)


def test_no_room_is_called_by_what_says_nothing():
    vague = {"utils", "util", "common", "helpers", "base", "misc"}
    assert not [place(file) for file in FILES if vague & set(file.with_suffix("").relative_to(PACKAGE).parts)]


def drags_in(statement):
    """The top-level packages that are loaded after a statement in a new process."""
    program = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


HEAVY = {"torch", "numpy", "PIL", "cv2", "tokenizers", "ai_edge_litert", "coremltools", "litert_torch", "jax"}


def test_importing_the_package_drags_in_nothing_heavy():
    assert not drags_in("import mobigen") & (HEAVY | {"click"})
    assert not drags_in("import mobigen.cli") & HEAVY


def test_a_picture_needs_no_torch(exported_bundle):
    program = f"import mobigen; mobigen.load({str(exported_bundle)!r})('a fox', seed=1)"
    loaded = drags_in(program)
    assert {"numpy", "ai_edge_litert", "tokenizers", "PIL"} <= loaded
    assert not loaded & {
        "torch",
        "cv2",
        "coremltools",
        "litert_torch",
        "jax",
        "huggingface_hub",
        "safetensors",
    }
