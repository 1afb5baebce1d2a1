"""Plans: which precision each component of a model gets on each backend, chosen by `mobigen export MODEL --tune`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mobigen.errors import ExportError
from mobigen.export.backends import BACKENDS, find_backend, full_precision

__all__ = ["PLANS", "Choice", "Plan", "make_plan", "read_choice"]

Plan = Mapping[str, Mapping[str, str]]  # backend -> component -> precision

PLANS: dict[str, Plan] = {
    "sticker": {
        "litert": {"text_encoder": "float16", "denoiser": "int8-weights", "decoder": "int8-full"},
        "coreml": {"text_encoder": "float16", "denoiser": "int8", "decoder": "palette6"},
    },
    "upscale-x2": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "upscale-x2-fast": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "sesr-m5-x2": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "upscale-x3": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "upscale-x3-fast": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "upscale-x3-int8": {"litert": {"upscaler": "uint8-full"}, "coreml": {"upscaler": "int8"}},
    "upscale-x3-fast-int8": {"litert": {"upscaler": "uint8-full"}, "coreml": {"upscaler": "int8"}},
    "upscale-x4": {"litert": {"upscaler": "float16"}, "coreml": {"upscaler": "float16"}},
    "upscale-x4-fast": {"litert": {"upscaler": "float32"}, "coreml": {"upscaler": "float16"}},
    "upscale-x4-photo": {"litert": {"upscaler": "float16"}, "coreml": {"upscaler": "float16"}},
    "cutout": {
        "litert": {"image_encoder": "float16", "click_decoder": "float16"},
        "coreml": {"image_encoder": "float16", "click_decoder": "float16"},
    },
}
UNPLANNED = "float16"  # half the size at hardly any loss, on every backend


class Choice(NamedTuple):
    """A precision that a user asks for; None means every backend, or every component."""

    precision: str
    component: str | None = None
    backend: str | None = None


def read_choice(text: str) -> Choice:
    """Reads NAME, COMPONENT=NAME, BACKEND:NAME or BACKEND:COMPONENT=NAME. Raises ExportError."""
    backend, colon, rest = text.rpartition(":")
    component, sign, precision = rest.rpartition("=")
    if not precision or (sign and not component) or (colon and backend not in BACKENDS):
        raise ExportError(
            f"{text!r} is not a precision; write NAME, COMPONENT=NAME or BACKEND:COMPONENT=NAME "
            f"with a backend of {', '.join(BACKENDS)}"
        )
    return Choice(precision, component or None, backend or None)


def make_plan(model: str, components: Sequence[str], backends: Iterable[str], choices: Iterable[Choice] = ()) -> Plan:
    """The model's own plan, changed as the user chose; float16 for what has no plan.

    Raises:
        ExportError: a backend, component or precision that does not exist or was not asked for.
    """
    plan = {backend: _planned(model, components, backend) for backend in backends}
    for choice in choices:
        for backend in plan if choice.backend is None else [choice.backend]:
            _apply(choice, backend, plan)
    return plan


def _planned(model: str, components: Sequence[str], backend: str) -> dict[str, str]:
    known = PLANS.get(model, {}).get(find_backend(backend).name, {})
    return {component: known.get(component, UNPLANNED) for component in components}


def _apply(choice: Choice, backend: str, plan: dict[str, dict[str, str]]) -> None:
    if backend not in plan:
        raise ExportError(f"a precision is given for {backend}, which is not exported to; add it to --to")
    precision = full_precision(backend, choice.precision)
    components = plan[backend]
    if choice.component is not None and choice.component not in components:
        raise ExportError(f"there is no component {choice.component} to export; there are: {', '.join(components)}")
    for component in components if choice.component is None else [choice.component]:
        components[component] = precision
