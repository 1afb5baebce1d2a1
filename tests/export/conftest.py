"""The tiny upscaler's float32 graph, which several tests quantise."""

import pytest


@pytest.fixture(scope="session")
def upscaler_graph(tmp_path_factory):
    """`upscaler_graph(low=0.0)` -> a network of pictures in [low, 1] and its graph; not to be changed."""
    pytest.importorskip("litert_torch")
    from tiny_upscaler import tiny_upscaler

    from mobigen.export.litert import convert

    folder, made = tmp_path_factory.mktemp("upscaler"), {}

    def graph(low=0.0):
        if low not in made:
            network, path = tiny_upscaler(low=low), folder / f"from_{low:g}.tflite"
            convert(network, path)
            made[low] = network, path
        return made[low]

    return graph
