"""Goes on training the sticker teacher on a folder of your pictures.

python examples/fine_tune.py PICTURES RUN [STEPS]   (needs mobigen[train]; a GPU, unless it is a trial)
PICTURES holds images and a metadata.jsonl: {"file_name": "fox.png", "text": "red fox", "style": "flat"} a line.
"""

import sys
from pathlib import Path

from mobigen.data.shards import pack_folder
from mobigen.errors import MobigenError
from mobigen.recipes import RECIPES, Workspace

if len(sys.argv) < 3:
    raise SystemExit(f"usage: {__doc__.splitlines()[2]}")
pictures, run = Path(sys.argv[1]), Path(sys.argv[2])
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
shards = run / "shards"
try:
    if not shards.is_dir():
        print(pack_folder(pictures, shards), "pictures packed")
    # Starts from the shipped denoiser; encoder, text encoder and tokenizer are found in weights/ as they are.
    workspace = Workspace(data=shards, out=run, init=Path("weights/sticker"))
    progress = RECIPES["sticker-teacher"].run(
        workspace, minutes=None, max_train_steps=steps, train_batch_size=64, learning_rate=1e-4
    )
except MobigenError as error:
    raise SystemExit(f"not trained: {error}") from error
print(f"{progress.step} steps; the same command with more steps goes on. Next, distil and export:")
print(f"  mobigen distill sticker-regression --data {shards} --out {run}")
print(f"  mobigen distill sticker --data {shards} --out {run}")
print(f"  python examples/export_own.py export/mine {run} weights/sticker")
