"""The picture as it forms: a preview after each step, and a way to stop.

python examples/preview.py [FOLDER]
"""

import sys
from pathlib import Path

import mobigen

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/preview")
folder.mkdir(parents=True, exist_ok=True)


def watch(pipeline, step, time, state):
    """After each step; state["latents"] could be changed here and returned."""
    state["preview"]().save(folder / f"step{step + 1}.png")
    print(f"step {step + 1}, noise left before it: {time:.0%}")
    if (folder / "stop").exists():
        pipeline.interrupt()


sticker = mobigen.load("sticker")
result = sticker("a green dragon", num_inference_steps=4, seed=3, callback_on_step_end=watch)
for image in result.images:  # none after interrupt()
    image.save(folder / "final.png")
