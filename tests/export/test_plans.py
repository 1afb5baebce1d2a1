"""Which precision a component gets: the model's plan, changed as the user chose."""

import pytest

pytest.importorskip("torch")

from mobigen.errors import ExportError
from mobigen.export.backends import BACKENDS
from mobigen.export.plans import PLANS, UNPLANNED, Choice, make_plan, read_choice
from mobigen.registry import MODELS

COMPONENTS = ["text_encoder", "denoiser", "decoder"]


def test_every_model_has_a_plan_for_every_backend():
    assert set(PLANS) == set(MODELS)
    for plan in PLANS.values():
        assert set(plan) == set(BACKENDS)
        for backend, precisions in plan.items():
            assert set(precisions.values()) <= set(BACKENDS[backend].precisions)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("float16", Choice("float16")),
        ("denoiser=int8", Choice("int8", "denoiser")),
        ("litert:float16", Choice("float16", None, "litert")),
        ("litert:denoiser=int8-static", Choice("int8-static", "denoiser", "litert")),
    ],
)
def test_a_choice_is_read(text, choice):
    assert read_choice(text) == choice


@pytest.mark.parametrize("text", ["", "=", "denoiser=", "=float16", "onnx:float16", ":float16", "litert:"])
def test_what_is_no_choice_is_refused(text):
    with pytest.raises(ExportError, match="is not a precision; write NAME, COMPONENT=NAME"):
        read_choice(text)


def test_a_plan_is_the_models_unless_the_user_chose():
    assert make_plan("sticker", COMPONENTS, ["litert"]) == {"litert": PLANS["sticker"]["litert"]}
    chosen = make_plan("sticker", COMPONENTS, ["litert"], [Choice("float32"), Choice("int8", "denoiser")])
    expected = {"text_encoder": "float32", "denoiser": "int8-dynamic", "decoder": "float32"}
    assert chosen == {"litert": expected}
    assert make_plan("sticker", ["decoder"], ["litert"]) == {
        "litert": {"decoder": PLANS["sticker"]["litert"]["decoder"]}
    }


def test_what_has_no_plan_is_float16():
    assert make_plan("mine", ["anything"], ["litert"]) == {"litert": {"anything": UNPLANNED}}


@pytest.mark.parametrize(
    ("backends", "choices", "message"),
    [
        (["onnx"], [], "cannot export to 'onnx'; accepted: litert"),
        (["litert"], [Choice("int3")], "litert has no precision 'int3'; accepted: float32"),
        (["litert"], [Choice("float16", "encoder")], "no component encoder to export; there are: text_encoder"),
        ([], [Choice("float16", None, "litert")], "litert, which is not exported to"),
    ],
)
def test_what_does_not_exist_is_refused(backends, choices, message):
    with pytest.raises(ExportError, match=message):
        make_plan("sticker", COMPONENTS, backends, choices)
