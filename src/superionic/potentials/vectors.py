"""Vectors of 16 float32 numbers as values in compiled code.

Compilers find vector code in loops by themselves, but only after they have checked, at run time and
for every row, that no two arrays overlap; for rows of 64 numbers the checks cost as much as the
work. Here the vectors are written out::

    for q in range(0, 64, LANES):
        store(out, row + q, sigmoid(load(x, row + q)) * splat(scale))

Offsets count numbers from the start of a C-contiguous array of any shape; nothing checks them.
``+``, ``-``, ``*`` and ``/`` work; sums of products are fused. NaN stays NaN. Processors with
shorter vectors take several for one.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
"""Numbers in a vector."""

inner = njit(
    error_model="numpy", nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Compiles functions that only compiled functions call and that allocate nothing.

That leaves out what would make them callable from Python, and reference counts: a third of the
time that compiling takes.
"""

_FLAGS = ("contract", "nsz", "arcp", "afn")
_FLOAT = ir.FloatType()
_VALUE = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(ir.IntType(32), LANES)
# Code for another processor than this one, as numba's settings can ask for, goes without.
_HAS_AVX512 = (
    bool(binding.get_host_cpu_features().get("avx512f"))
    and config.ENABLE_AVX
    and config.CPU_NAME is None
    and config.CPU_FEATURES is None
)


class _VectorType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VALUE)


_vector = _VectorType()


def _define(operation: Callable[[Any, Any], Any], instruction: str) -> None:
    @infer_global(operation)
    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = [Signature(_vector, (_vector, _vector), None)]  # noqa: RUF012

    @lower_builtin(operation, _vector, _vector)
    def _lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=_FLAGS)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)


def _constant(number: float) -> Any:
    return ir.Constant(_VALUE, [float(np.float32(number))] * LANES)


def _call(builder: Any, name: str, result: Any, *args: Any, flags: tuple[str, ...] = ()) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, args, fastmath=flags)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    data = cgutils.create_struct_proxy(kind)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [offset]), _VALUE.as_pointer())


@intrinsic
def load(typing_context, array, offset):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return ``array.ravel()[offset : offset + 16]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], *args), align=4)

    return (_vector(array, types.intp), codegen) if array.layout == "C" else None


@intrinsic
def store(typing_context, array, offset, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Set ``array.ravel()[offset : offset + 16]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return (types.void(array, types.intp, _vector), codegen) if array.layout == "C" else None


@intrinsic
def splat(typing_context, number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return a vector of equal numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(_VALUE, ir.Undefined)
        single = builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(single, undefined, ir.Constant(_BITS, [0] * LANES))

    return _vector(types.float32), codegen


@intrinsic
def total(typing_context, vector):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the sum of a vector's numbers, always added in the same order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(_FLOAT, 0.0)
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        return _call(builder, name, _FLOAT, zero, args[0], flags=("reassoc",))

    return types.float32(_vector), codegen


def _clip(builder: Any, x: Any, limit: float) -> Any:
    """Return x within [-limit, limit]; NaN passes through."""
    low, high = _constant(-limit), _constant(limit)
    x = builder.select(builder.fcmp_ordered(">", low, x), low, x)
    return builder.select(builder.fcmp_ordered("<", high, x), high, x)


def _reciprocal(builder: Any, x: Any) -> Any:
    """Return 1 / x for normal x; divisions of long vectors are slow."""
    one = _constant(1.0)
    if not _HAS_AVX512:
        return builder.fdiv(one, x)
    mask = ir.Constant(ir.IntType(16), -1)
    name = "llvm.x86.avx512.rcp14.ps.512"
    guess = _call(builder, name, _VALUE, x, _constant(0.0), mask)
    error = builder.fsub(one, builder.fmul(x, guess, flags=_FLAGS), flags=_FLAGS)
    return builder.fadd(guess, builder.fmul(guess, error, flags=_FLAGS), flags=_FLAGS)


def _polynomial(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = _constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        value = builder.fadd(builder.fmul(value, x, flags=_FLAGS), _constant(c), flags=_FLAGS)
    return value


# Minimax polynomial of 2**f on [-1/2, 1/2], exact at 0, relative error 1.6e-7 in float32.
_EXP2 = (
    1.0,
    0.693146977598109,
    0.24022242084294898,
    0.05550733744503417,
    0.00967151270154733,
    0.0013264726943201482,
)
# cos(2 pi q) on [-1/4, 1/4] in powers of q**2.
_COS = (
    0.9999999997806577,
    -19.73920854891516,
    64.93934662959566,
    -85.45357162923712,
    60.14401510728414,
    -24.982237750989796,
)


@intrinsic
def sigmoid(typing_context, vector):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return 1 / (1 + exp(-x)) to about 1e-6 of itself, for x clipped to [-30, 30].

    CHGNet has hidden features near -90. Their slopes, 1e-39 of what the others are, would make
    subnormal numbers of all that they are multiplied with, and a processor takes ten times as long
    for a product with one; clipped, they are 1e-11, which no sum in single precision sees.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Adding it rounds to an integer, which is then found in the lowest bits.
        rounder = _constant(1.5 * 2**23)
        t = builder.fmul(_clip(builder, args[0], 30.0), _constant(-1.4426950408889634))
        rounded = builder.fadd(t, rounder)
        p = _polynomial(builder, builder.fsub(t, builder.fsub(rounded, rounder)), _EXP2)
        power = builder.shl(builder.bitcast(rounded, _BITS), ir.Constant(_BITS, [23] * LANES))
        exp = builder.bitcast(builder.add(power, builder.bitcast(p, _BITS)), _VALUE)
        return _reciprocal(builder, builder.fadd(_constant(1.0), exp, flags=_FLAGS))

    return _vector(_vector), codegen


@intrinsic
def nearest(typing_context, vector):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the nearest integers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, f"llvm.rint.v{LANES}f32", _VALUE, args[0])

    return _vector(_vector), codegen


@intrinsic
def exact_product(typing_context, x, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (p, e) such that p + e is the product of two vectors without rounding."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        p = builder.fmul(*args)
        e = _call(builder, f"llvm.fma.v{LANES}f32", _VALUE, *args, builder.fneg(p))
        return context.make_tuple(builder, signature.return_type, [p, e])

    return types.UniTuple(_vector, 2)(_vector, _vector), codegen


@intrinsic
def sin_cos_turns(typing_context, vector):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return sin(2 pi x) and cos(2 pi x) for x in [-1/2, 1/2]; absolute errors below 3e-7."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero, quarter = _constant(0.0), _constant(0.25)

        def sine(x: Any) -> Any:
            negative = builder.fcmp_ordered("<", x, zero)
            size = builder.select(negative, builder.fneg(x), x)
            q = builder.fsub(size, quarter)
            value = _polynomial(builder, builder.fmul(q, q), _COS)
            return builder.select(negative, builder.fneg(value), value), size

        sin, size = sine(args[0])
        cos, _ = sine(builder.fsub(quarter, size))
        return context.make_tuple(builder, signature.return_type, [sin, cos])

    return types.UniTuple(_vector, 2)(_vector), codegen
