"""Exports your own weights to a bundle, and reads what was measured.

python examples/export_own.py BUNDLE WEIGHTS [WEIGHTS...]   (needs mobigen[export])
What the first folder of weights lacks is taken from the next: `runs/mine weights/sticker`, say.
"""

import json
import sys
from pathlib import Path

import mobigen
from mobigen.errors import ParityError
from mobigen.export.engine import PLANS, REPORT, export_model
from mobigen.export.source import gather_weights

bundle, *folders = map(Path, sys.argv[1:])
try:
    with gather_weights(folders, PLANS["sticker"]) as weights:
        export_model("sticker", weights, bundle, {"denoiser": "float16"})
except ParityError as error:
    raise SystemExit(f"not exported: {error}") from error

for graph in json.loads((bundle / REPORT).read_text())["graphs"]:
    print(graph["component"], graph["precision"], graph["bytes"], "bytes", graph["parity_db"], "dB")
print(mobigen.load(bundle)("a red fox", seed=1).images[0].size)
