"""The examination as a whole: what it says of networks, and that it can be written down."""

import json
from dataclasses import asdict

import pytest

torch = pytest.importorskip("torch")

from one_construct import construct  # noqa: E402
from tiny_networks import KINDS, tiny  # noqa: E402
from torch import nn  # noqa: E402

from mobigen.export.doctor import examine, examine_network  # noqa: E402
from mobigen.export.doctor.rules import TARGETS, Effect  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402


def call(module, x):
    return module(x)


def rules(report):
    return [finding.rule for finding in report.findings]


@pytest.fixture(scope="module")
def encoder():
    """The report on a text encoder of two blocks: 8 tokens, 50 words, 16 channels."""
    return examine_network(tiny(TextEncoder))


def test_what_goes_in_and_out(encoder):
    assert encoder.component == "text_encoder"
    assert encoder.inputs == {"token_ids": "int32 (1, 8)"}
    assert encoder.outputs == {"text_states": "float32 (1, 8, 16)", "text_mask": "float32 (1, 8)"}


def test_the_measures(encoder):
    measures, network = encoder.measures, tiny(TextEncoder)
    unread = sum(parameter.numel() for parameter in network.sentence.parameters())
    weights = sum(parameter.numel() for parameter in network.parameters()) - unread
    assert measures.weights == weights
    assert measures.weight_bytes == {
        "float32": 4 * weights, "float16": 2 * weights, "int8": weights, "palette6": -(-weights * 6 // 8)
    }  # fmt: skip
    block = 8 * 16 * 16 * 4 + 2 * 8 * 8 * 16 + 2 * 8 * 16 * 32  # q, k, v, out; scores and values; the perceptron
    assert measures.macs == 8 * 8 * 16 + 2 * block
    assert measures.highest_rank == 4
    assert measures.ops["linear"] == 1 + 2 * 6
    assert list(measures.ops.values()) == sorted(measures.ops.values(), reverse=True)
    assert [tensor.shape for tensor in measures.largest] == [(1, 8, 32)] * 3
    assert measures.largest[0].place == "blocks.0.perceptron.1"
    assert measures.largest[0].bytes == 4 * 8 * 32
    assert measures.peak_bytes["float32"] == 2 * measures.peak_bytes["float16"]  # no whole numbers are alive then
    assert measures.peak_bytes["neural-engine"] >= measures.peak_bytes["float16"]
    assert measures.peak_place.startswith("blocks.0")
    assert measures.padding > 1
    assert measures.largest_magnitude == 1e4  # of the mask


def test_a_look_up_at_the_start_is_cut_off(encoder):
    engine, gpu = encoder.verdicts["neural-engine"], encoder.verdicts["litert-gpu"]
    assert (engine.convertible, engine.ruled_out) == (True, 2)  # the embedding, and the mask made of whole numbers
    assert (engine.handed_over, engine.handed_over_bytes) == (2, 8 * 8 * 4 + 8)  # its rows, and truth values
    assert (gpu.convertible, gpu.ruled_out, gpu.handed_over) == (True, 0, 0)


def test_the_worst_comes_first_and_is_told_with_its_place(encoder):
    order = [effect.value for effect in Effect]
    found = [order.index(finding.effect) for finding in encoder.findings]
    assert found == sorted(found)
    lookup = next(finding for finding in encoder.findings if finding.rule == "lookup")
    assert (lookup.ops, lookup.places, lookup.shape) == ({"embedding": 1}, ("embedding",), (1, 8, 8))
    linear = next(finding for finding in encoder.findings if finding.rule == "linear")
    assert linear.ops == {"linear": 13}
    assert linear.places[0] == "blocks.*.perceptron.*"
    assert linear.shape == (1, 8, 32)


def test_what_the_network_itself_calls_is_in_forward():
    (finding,) = examine_network(construct(lambda x: x.clamp(0, 1), (1, 4))).findings[:1]
    assert finding.places == ("forward",)


def test_nothing_is_found_where_no_rule_is_broken():
    report = examine_network(construct(call, (1, 8, 16, 16), modules=[nn.Conv2d(8, 8, 3)]))
    assert report.findings == ()
    assert {(each.convertible, each.ruled_out, each.handed_over) for each in report.verdicts.values()} == {(True, 0, 0)}


def test_a_network_that_cannot_be_traced_is_a_finding():
    report = examine_network(construct(lambda x: x if x.sum() > 0 else -x, (1, 4)))
    assert report.measures is None
    assert rules(report) == ["untraceable"]
    assert report.findings[0].effect == "cannot be converted"
    assert not any(verdict.convertible for verdict in report.verdicts.values())


def test_what_cannot_be_converted_is_ruled_out_as_a_whole():
    report = examine_network(construct(torch.exp2, (1, 4)))
    assert rules(report) == ["litert-lacks"]
    assert [target for target, verdict in report.verdicts.items() if verdict.convertible] == ["neural-engine"]


def test_numbers_that_are_not_finite_are_told():
    assert examine_network(construct(lambda x: x.log() - torch.inf, (1, 4))).measures.largest_magnitude is None


def test_the_report_is_json():
    report = examine("two", {"first": construct(torch.exp, (1, 4)), "second": construct(torch.sin, (1, 4))})
    values = json.loads(json.dumps(asdict(report)))
    assert (values["schema_version"], values["model"]) == (1, "two")
    assert [each["component"] for each in values["components"]] == ["first", "second"]
    assert set(values["components"][0]) == {"component", "inputs", "outputs", "measures", "verdicts", "findings"}
    assert set(values["components"][0]["verdicts"]) == set(TARGETS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.component)
def test_every_network_of_the_house_can_be_converted(kind):
    report = examine_network(tiny(kind))
    assert report.measures.macs > 0
    assert all(verdict.convertible for verdict in report.verdicts.values())
    assert "infinite" not in rules(report)
