"""The examples run as they are: on the tiny model, and on the shipped one where it lies in export/."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHIPPED = ROOT / "export" / "sticker"


def start_example(name, *arguments, cwd=ROOT, **environment):
    line = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment)


def run_example(name, *arguments, **options):
    process = start_example(name, *arguments, **options)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_each_example_says_what_it_is_and_fits_in_the_head():
    assert {path.stem for path in EXAMPLES} >= {"generate", "preview", "litert_alone", "fine_tune", "export_own"}
    for path in EXAMPLES:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 40
        assert lines[0].startswith('"""')
        assert any(line.startswith(f"python examples/{path.name}") for line in lines)


@pytest.fixture(params=["tiny", "shipped"])
def bundle(request):
    if request.param == "tiny":
        return request.getfixturevalue("exported_bundle")
    if not SHIPPED.is_dir():
        pytest.skip("the bundle has not been exported")
    return SHIPPED


def test_generate(bundle, tmp_path):
    shown = run_example("generate", tmp_path / "out", MOBIGEN_EXPORT=str(bundle.parent))
    assert "'seed': 7" in shown
    assert len(list((tmp_path / "out").glob("*.png"))) == 5


def test_preview(bundle, tmp_path):
    run_example("preview", tmp_path, MOBIGEN_EXPORT=str(bundle.parent))
    assert {path.name for path in tmp_path.iterdir()} == {*(f"step{step}.png" for step in range(1, 5)), "final.png"}
    assert (tmp_path / "step4.png").read_bytes() == (tmp_path / "final.png").read_bytes()


def test_preview_can_be_stopped(exported_bundle, tmp_path):
    (tmp_path / "stop").touch()
    run_example("preview", tmp_path, MOBIGEN_EXPORT=str(exported_bundle.parent))
    assert {path.name for path in tmp_path.iterdir()} == {"stop", "step1.png"}


def test_litert_alone(bundle, tmp_path):
    shown = run_example("litert_alone", bundle, tmp_path / "decoded.png")
    settings = json.loads((bundle / "metadata.json").read_text())["pipeline"]
    assert settings["sampler"]["kind"] in shown
    size = settings["image_size"]
    with Image.open(tmp_path / "decoded.png") as image:
        assert (image.mode, image.size) == ("RGBA", (size, size))


def test_litert_alone_needs_no_mobigen():
    assert "mobigen" not in (ROOT / "examples" / "litert_alone.py").read_text().partition("import hashlib")[2]


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("fine_tune", [], "usage: python examples/fine_tune.py PICTURES RUN [STEPS]"),
        ("fine_tune", ["nowhere", "run"], "not trained: cannot read nowhere"),
        ("export_own", ["mine"], "usage: python examples/export_own.py BUNDLE WEIGHTS [WEIGHTS...]"),
        ("export_own", ["mine", "nowhere"], "not exported: "),
        ("litert_alone", ["nowhere"], "no bundle at nowhere; usage: python examples/litert_alone.py [BUNDLE"),
    ],
)
def test_what_is_missing_is_one_line(name, arguments, complaint, tmp_path):
    pytest.importorskip("accelerate")
    process = start_example(name, *arguments, cwd=tmp_path)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith(complaint)
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.iterdir())


def test_export_own(exported_bundle, tiny_weights, tmp_path):
    shutil.copytree(tiny_weights / "decoder", tmp_path / "run" / "decoder")
    shown = run_example("export_own", tmp_path / "mine", tmp_path / "run", tiny_weights)
    assert "denoiser float16" in shown
    assert (tmp_path / "mine" / "metadata.json").is_file()


def test_fine_tune(tmp_path):
    pytest.importorskip("accelerate")
    tiny_beginning(tmp_path)
    shown = run_example("fine_tune", "pictures", "run", 1, cwd=tmp_path)
    assert shown.startswith("3 pictures packed\n1 steps;")
    assert (tmp_path / "run" / "teacher" / "config.json").is_file()


def tiny_beginning(folder):
    """pictures/, weights/sticker/ with a teacher, and run/ with the components that are used as they are."""
    import tiny_bundle
    from tokenizers import Tokenizer

    from mobigen.data.stickers import STYLES
    from mobigen.models.autoencoder import Encoder
    from mobigen.models.denoiser import Denoiser

    run, text_encoder = folder / "run", tiny_bundle.tiny_networks()[0]
    text_encoder.save_pretrained(run / "text_encoder")
    Encoder(latent_channels=4, widths=(8, 8, 8), depth=1).save_pretrained(run / "encoder")
    sizes = {"dim": 16, "depth": 1, "heads": 2, "text_dim": text_encoder.dim, "text_tokens": text_encoder.tokens}
    Denoiser(latent_channels=4, styles=len(STYLES), **sizes).save_pretrained(folder / "weights" / "sticker" / "teacher")
    tiny_bundle.write_tokenizer(run / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    tokenizer.enable_padding(length=text_encoder.tokens)
    tokenizer.enable_truncation(text_encoder.tokens)
    tokenizer.save(str(run / "tokenizer.json"))
    write_pictures(folder / "pictures")


def write_pictures(folder):
    """An imagefolder of three."""
    folder.mkdir()
    colours = ("red", "blue", "lime")
    for colour in colours:
        Image.new("RGBA", (64, 64), colour).save(folder / f"{colour}.png")
    lines = [json.dumps({"file_name": f"{colour}.png", "text": f"{colour} apple"}) for colour in colours]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
