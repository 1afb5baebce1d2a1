"""A bundle without mobigen: what an app in any language does with metadata.json and a .tflite file.

python examples/litert_alone.py [BUNDLE [PICTURE]]   (needs numpy, pillow, ai-edge-litert)
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

bundle = Path(sys.argv[1] if len(sys.argv) > 1 else "export/sticker")
target = Path(sys.argv[2] if len(sys.argv) > 2 else "out/decoded.png")
if not (bundle / "metadata.json").is_file():
    raise SystemExit(f"no bundle at {bundle}; usage: {__doc__.splitlines()[2]}")
metadata = json.loads((bundle / "metadata.json").read_text(encoding="utf-8"))
print(metadata["name"], metadata["version"], metadata["licence"], metadata["pipeline"]["sampler"])

component = metadata["components"]["decoder"]
artefact = component["backends"]["litert"]
graph = bundle / artefact["file"]
if hashlib.sha256(graph.read_bytes()).hexdigest() != artefact["sha256"]:
    raise SystemExit(f"{graph} was changed")

(latent,) = component["inputs"]  # its name, shape, dtype and range
interpreter = Interpreter(model_path=str(graph), num_threads=2)
interpreter.allocate_tensors()
decode = interpreter.get_signature_runner()
noise = np.random.default_rng(0).standard_normal(latent["shape"]).astype(latent["dtype"])
image = decode(**{latent["name"]: noise})["image"][0]  # (4, height, width), RGBA in about [-1, 1]

pixels = np.rint((image.clip(-1, 1) + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
target.parent.mkdir(parents=True, exist_ok=True)
Image.fromarray(pixels).save(target)  # of noise: the denoiser makes latents that mean something
print(target, pixels.shape)
