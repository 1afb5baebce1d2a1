"""What the doctor says of LiteRT's fast path on the CPU, held against LiteRT itself."""

from collections import Counter

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import torch.nn.functional as F  # noqa: E402
from one_construct import construct  # noqa: E402
from torch import nn  # noqa: E402

from mobigen.export.doctor.graph import read_graph  # noqa: E402
from mobigen.export.doctor.rules import RULES, Effect  # noqa: E402
from mobigen.export.litert import convert  # noqa: E402
from mobigen.export.program import capture  # noqa: E402
from mobigen.models.network import load_network  # noqa: E402

LAYOUT = {"DEQUANTIZE", "RESHAPE", "TRANSPOSE"}  # they move with their neighbours
KERNELS = {"ne": "NOT_EQUAL", "to": "CAST", "embedding": "EMBEDDING_LOOKUP"}
INDEX = torch.tensor([3, 1, 2])
PLAIN = {  # what is done to x (1, 8, 16, 16) -> the plain kernels that LiteRT runs for it
    "look-up": (lambda x: x[:, INDEX], ["GATHER_ND"]),
    "clamp": (lambda x: x.clamp(0, 1), ["RELU_0_TO_1"]),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), ["RESIZE_NEAREST_NEIGHBOR"]),
    "reflection": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), ["MIRROR_PAD"]),
    "flip": (lambda x: x.flip(3), ["REVERSE_V2"]),
    "running sum": (lambda x: x.cumsum(3), ["CUMSUM"]),
    "step": (lambda x: x[:, :, ::2], ["STRIDED_SLICE"]),
    "product": (lambda x: x[:, :1] @ x[:, :1].transpose(2, 3), ["FULLY_CONNECTED"]),
    "copies": (lambda x: torch.cat([x[:, :1].expand(x.shape), x]), ["BROADCAST_TO"]),
    "joined": (lambda x: torch.cat([x, x + 1, x + 2, x + 3, x + 4, x + 5]), ["CONCATENATION"]),
}
FAST = (  # what stays on the fast path
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    lambda x: F.pad(x, (1, 1, 1, 1)),
    lambda x: x.clamp(-1, 1) + x.mean((2, 3), keepdim=True),
    lambda x: torch.cat([x, x + 1, x + 2, x + 3, x + 4]),
    lambda x: F.scaled_dot_product_attention(x, x, x),
    lambda x: F.layer_norm(x, (16,)),
    lambda x: x @ x.transpose(2, 3),
    lambda x: F.gelu(x.pow(2)).sqrt().softmax(-1),
)


def predicted(network):
    """The operations that the rules take from the fast path."""
    out = [rule for rule in RULES if "litert-cpu" in rule.targets and rule.effect is Effect.FAST_PATH]
    return [op for op in read_graph(capture(network)).ops if any(rule.breaks(op) for rule in out)]


def plain_kernels(path):
    """Kernel -> how often it runs outside of the fast path: found from the outputs backwards, as data flows."""
    from ai_edge_litert.interpreter import Interpreter

    graph = Interpreter(str(path))
    graph.allocate_tensors()
    makers = {}
    for kernel in graph._get_ops_details():  # the fast path is one at the end, and claims what others had made
        makers.update(dict.fromkeys(kernel["outputs"].tolist(), kernel))
    found, seen = Counter(), set()
    waiting = [each["index"] for each in graph.get_output_details()]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and maker["index"] not in seen:
            seen.add(maker["index"])
            found[maker["op_name"]] += 1
            waiting += maker["inputs"].tolist()
    assert found.pop("DELEGATE", 0) > 0
    return Counter({name: count for name, count in found.items() if name not in LAYOUT})


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """All constructs in one graph, an output each."""
    functions = [*(function for function, _ in PLAIN.values()), *FAST]
    network = construct(
        lambda conv, x: tuple(function(conv(x)) for function in functions),
        (1, 8, 16, 16),
        modules=[nn.Conv2d(8, 8, 3, padding=1)],
    )
    path = tmp_path_factory.mktemp("constructs") / "constructs.tflite"
    convert(network, path)
    return path


def test_litert_runs_plain_kernels_for_what_the_table_says_and_nothing_else(converted):
    assert plain_kernels(converted) == Counter(kernel for _, kernels in PLAIN.values() for kernel in kernels)


@pytest.mark.parametrize("name", PLAIN)
def test_the_doctor_rules_it_out(name):
    assert predicted(construct(PLAIN[name][0], (1, 8, 16, 16)))


@pytest.mark.parametrize("function", FAST)
def test_the_doctor_has_nothing_against_the_rest(function):
    assert not predicted(construct(function, (1, 8, 16, 16)))


@pytest.mark.parametrize("component", ["text_encoder", "denoiser", "decoder"])
def test_a_model_is_predicted_kernel_by_kernel(component, exported_bundle, tiny_weights):
    kernels = Counter(KERNELS[op.name] for op in predicted(load_network(tiny_weights / component)))
    assert plain_kernels(exported_bundle / "litert" / f"{component}.tflite") == kernels
    assert bool(kernels) == (component == "text_encoder")
