"""Stickers from words, as PNG files that carry what made them.

python examples/generate.py [FOLDER]
"""

import sys
from pathlib import Path

import mobigen
from mobigen.media import contact_sheet, read_parameters, save_image

PROMPTS = ["a sleepy red fox", "a blue car", "a slice of pizza", "a purple octopus"]

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/generate")
folder.mkdir(parents=True, exist_ok=True)
sticker = mobigen.load("sticker")
print("styles:", ", ".join(sticker.styles))

result = sticker(PROMPTS, style="3d", num_inference_steps=4, seed=7)
for image, parameters in zip(result.images, result.parameters, strict=True):
    path = folder / f"{parameters['prompt'].replace(' ', '-')}.png"
    save_image(image, path, parameters)
    print(path, read_parameters(path))

save_image(contact_sheet(result.images, PROMPTS), folder / "sheet.png", {"model": "sticker"})
