"""Every operation against a formula of NumPy, in programs that coremltools built and saved."""

import inspect
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from mil_cases import CASES
from mil_cases.case import wide

from mobigen.export.quiet import quiet
from mobigen.export.reference.executor import KERNELS, Executor
from mobigen.export.reference.package import operations, read_package

TARGETS = sorted({case.target for case in CASES})
ACCURACY = {"float64": 1e-12, "float32": 1e-5}


def numbered(target):
    return [(f"case{index}", case) for index, case in enumerate(CASES) if case.target == target]


def convert(target):
    """One program with all cases of an operation set, each with its own inputs and outputs."""
    with quiet():
        import coremltools as ct
        from coremltools.converters.mil import mil
        from coremltools.converters.mil.mil import Builder, Function, types

        kinds = {"float32": types.fp32, "int32": types.int32}
        inputs = {
            f"{label}_{name}": Builder.placeholder(shape=array.shape, dtype=kinds[array.dtype.name])
            for label, case in numbered(target)
            for name, array in case.inputs.items()
        }
        program = mil.Program()
        with Function(inputs, opset_version=ct.target[target]) as function:
            outputs = []
            for label, case in numbered(target):
                results = case.build(Builder, **{name: function.inputs[f"{label}_{name}"] for name in case.inputs})
                for number, result in enumerate(results if isinstance(results, (tuple, list)) else (results,)):
                    plain = "fp32" if types.is_float(result.dtype) else "int32"
                    outputs.append(Builder.cast(x=result, dtype=plain, name=f"{label}_out{number}"))
            function.set_outputs(outputs)
            program.add_function("main", function)
        return ct.convert(
            program,
            minimum_deployment_target=ct.target[target],
            compute_precision=ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline.EMPTY,  # nothing is folded or fused: each operation stays what it is
        )


@pytest.fixture(scope="module")
def programs(packages):
    return {target: read_package(packages(target, partial(convert, target))) for target in TARGETS}


@pytest.fixture(scope="module")
def computed(programs):
    """Precision -> the results of all cases, by number of case."""
    results = {precision: {} for precision in ACCURACY}
    for precision, by_case in results.items():
        for target, program in programs.items():
            inputs = {
                f"{label}_{name}": array for label, case in numbered(target) for name, array in case.inputs.items()
            }
            outputs = Executor(program.functions["main"], precision)(inputs)
            for label, _ in numbered(target):
                by_case[label] = [value for name, value in outputs.items() if name.startswith(f"{label}_")]
    return results


@pytest.mark.parametrize("precision", ACCURACY)
@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: CASES[index].name)
def test_an_operation_gives_what_its_formula_gives(index, precision, computed):
    case = CASES[index]
    expected = case.expected(*map(wide, case.inputs.values()))
    found = computed[precision][f"case{index}"]
    for wanted, values in zip(expected if isinstance(expected, tuple) else (expected,), found, strict=True):
        assert values.shape == wanted.shape
        assert values.dtype in (np.int32, precision)
        np.testing.assert_allclose(
            values, wanted.astype(np.float64), rtol=ACCURACY[precision], atol=ACCURACY[precision]
        )


def test_every_kind_of_operation_has_a_case(programs):
    used = set().union(*(operations(program) for program in programs.values()))
    assert set(KERNELS) <= used
    assert len(KERNELS) > 130


def test_every_parameter_that_coremltools_writes_is_known():
    with quiet():
        from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    definitions = {kind: forms.values() for kind, forms in SSAOpRegistry.core_ops.items() if kind in KERNELS}
    assert len(definitions) == len(KERNELS)
    for kind, forms in definitions.items():
        known = set(inspect.signature(KERNELS[kind]).parameters)
        assert known == set().union(*(form.input_spec.input_types for form in forms))
