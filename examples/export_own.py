"""Exports your own weights to a bundle, and reads what was measured.

python examples/export_own.py BUNDLE WEIGHTS [WEIGHTS...]   (needs mobigen[export])
What the first folder of weights lacks is taken from the next: `runs/mine weights/sticker`, say.
"""

import json
import sys
from pathlib import Path

import mobigen
from mobigen.errors import MobigenError
from mobigen.export.engine import REPORT, export_model
from mobigen.export.plans import Choice, make_plan
from mobigen.export.source import gather_weights, read_source

if len(sys.argv) < 3:
    raise SystemExit(f"usage: {__doc__.splitlines()[2]}")
bundle, *folders = map(Path, sys.argv[1:])
try:
    with gather_weights(folders) as weights:
        source = read_source("sticker", weights)
        plan = make_plan("sticker", list(source.networks), ["litert"], [Choice("float16", "denoiser")])
        export_model(source, bundle, plan, tell=print)
except MobigenError as error:
    raise SystemExit(f"not exported: {error}") from error

for graph in json.loads((bundle / REPORT).read_text())["backends"]["litert"]["graphs"]:
    print(graph["component"], graph["precision"], graph["bytes"], "bytes", graph["parity_db"], "dB")
print(mobigen.load(bundle)("a red fox", seed=1).images[0].size)
