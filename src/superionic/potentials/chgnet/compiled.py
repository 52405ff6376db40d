"""Building blocks of compiled network layers: products, exponentials, sums of squares.

They are for rows of 64 float32 features and keep to one thread. Products and sums are written in
the compiler's intermediate language, because that is what keeps their running sums in registers:
they reach the speed of a good BLAS on matrices that are too small for one. Compilers that lack a
width split or join the vectors, so the code runs on any processor.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

WIDTH = 64
"""Features per row."""

FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""What the compiler may do to floating-point code; NaN and infinity keep their meaning."""

Float = NDArray[np.float32]

_LANES = 16
_ROWS = 4
# 4 x 4 vectors of 16 numbers are half of AVX-512's registers; fewer registers hold one column.
_COLUMNS = 4 if binding.get_host_cpu_features().get("avx512f") else 1

_FLOAT = ir.FloatType()
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, _LANES)


def _load(builder: Any, pointer: Any, offset: int) -> Any:
    return builder.load(_at(builder, pointer, offset), align=4)


def _at(builder: Any, pointer: Any, offset: int) -> Any:
    moved = builder.gep(pointer, [ir.Constant(_INDEX, offset)])
    return builder.bitcast(moved, _VECTOR.as_pointer())


def _multiply_add_function(builder: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{_LANES}f32")


def _product(n_rows: int) -> Any:
    """Make ``f(x, w, start, start_step, out)``: out = start + x @ w on n_rows rows.

    x and out are pairs (2D array, row, column), w is a (K, 64) array; ``start`` is a pair like x
    whose rows advance by ``start_step`` (0 for a bias).
    """

    @intrinsic
    def product(  # type: ignore[no-untyped-def]  # noqa: ANN202
        typing_context,  # noqa: ANN001
        x,  # noqa: ANN001
        x_row,  # noqa: ANN001
        x_column,  # noqa: ANN001
        w,  # noqa: ANN001
        start,  # noqa: ANN001
        start_row,  # noqa: ANN001
        start_column,  # noqa: ANN001
        start_step,  # noqa: ANN001
        out,  # noqa: ANN001
        row,  # noqa: ANN001
        column,  # noqa: ANN001
    ):
        if any(array.layout != "C" for array in (x, w, start, out)):
            return None
        signature = types.void(
            x, *[types.intp] * 2, w, start, *[types.intp] * 3, out, *[types.intp] * 2
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def array(k: int) -> Any:
                return cgutils.create_struct_proxy(signature.args[k])(
                    context, builder, value=args[k]
                )

            def pointers(k: int, first: Any, step: Any, from_column: Any) -> list[Any]:
                source = array(k)
                length = cgutils.unpack_tuple(builder, source.shape)[1]
                result = []
                for r in range(n_rows):
                    index = builder.add(first, builder.mul(step, ir.Constant(_INDEX, r)))
                    offset = builder.add(builder.mul(index, length), from_column)
                    result.append(builder.gep(source.data, [offset]))
                return result

            one = ir.Constant(_INDEX, 1)
            zero = ir.Constant(_INDEX, 0)
            x_rows = pointers(0, args[1], one, args[2])
            start_rows = pointers(4, args[5], args[7], args[6])
            out_rows = pointers(8, args[9], one, args[10])
            weights = array(3)
            depth = cgutils.unpack_tuple(builder, weights.shape)[0]
            fma = _multiply_add_function(builder)
            undefined = ir.Constant(_VECTOR, ir.Undefined)
            all_first = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
            for block in range(0, WIDTH, _LANES * _COLUMNS):
                columns = [block + _LANES * c for c in range(_COLUMNS)]
                sums = [[_load(builder, p, c) for c in columns] for p in start_rows]
                entry = builder.block
                loop = builder.append_basic_block("product")
                done = builder.append_basic_block("product.done")
                builder.branch(loop)
                builder.position_at_end(loop)
                k = builder.phi(_INDEX)
                k.add_incoming(zero, entry)
                running = [[builder.phi(_VECTOR) for _ in columns] for _ in range(n_rows)]
                w_row = builder.gep(weights.data, [builder.mul(k, ir.Constant(_INDEX, WIDTH))])
                w_k = [_load(builder, w_row, c) for c in columns]
                new = []
                for r in range(n_rows):
                    value = builder.load(builder.gep(x_rows[r], [k]))
                    single = builder.insert_element(
                        undefined, value, ir.Constant(ir.IntType(32), 0)
                    )
                    spread = builder.shuffle_vector(single, undefined, all_first)
                    new.append(
                        [
                            builder.call(fma, [spread, w_k[c], running[r][c]])
                            for c in range(_COLUMNS)
                        ]
                    )
                    for c in range(_COLUMNS):
                        running[r][c].add_incoming(sums[r][c], entry)
                        running[r][c].add_incoming(new[r][c], loop)
                following = builder.add(k, one)
                k.add_incoming(following, loop)
                builder.cbranch(builder.icmp_unsigned("<", following, depth), loop, done)
                builder.position_at_end(done)
                for r in range(n_rows):
                    for c, column_offset in enumerate(columns):
                        builder.store(new[r][c], _at(builder, out_rows[r], column_offset), align=4)
            return context.get_dummy_value()

        return signature, codegen

    return product


_product_rows = _product(_ROWS)
_product_row = _product(1)


@njit(nogil=True, cache=True)
def multiply_add(
    x: Float, x_row: int, x_column: int, w: Float, out: Float, row: int, column: int, n: int
) -> None:
    """Add ``x[x_row : x_row+n, x_column : x_column+K] @ w`` to 64 columns of n rows of ``out``.

    All arrays are C-contiguous float32, ``w`` is (K, 64); nothing checks their bounds.
    """
    whole = n // _ROWS * _ROWS
    for r in range(0, whole, _ROWS):
        _product_rows(x, x_row + r, x_column, w, out, row + r, column, 1, out, row + r, column)
    for r in range(whole, n):
        _product_row(x, x_row + r, x_column, w, out, row + r, column, 1, out, row + r, column)


@njit(nogil=True, cache=True)
def linear(
    x: Float,
    x_row: int,
    x_column: int,
    w: Float,
    bias: Float,
    out: Float,
    row: int,
    column: int,
    n: int,
) -> None:
    """Set 64 columns of n rows of ``out`` to ``x[...] @ w + bias``; see :func:`multiply_add`.

    ``bias`` is a 2D array, of which the first row is used from ``column`` on.
    """
    whole = n // _ROWS * _ROWS
    for r in range(0, whole, _ROWS):
        _product_rows(x, x_row + r, x_column, w, bias, 0, column, 0, out, row + r, column)
    for r in range(whole, n):
        _product_row(x, x_row + r, x_column, w, bias, 0, column, 0, out, row + r, column)


@intrinsic
def sum_of_squares(typing_context, row, start):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the sum of the squares of ``row[start : start+64]``, a contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        fma = _multiply_add_function(builder)
        reduce = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR]),
            f"llvm.vector.reduce.fadd.v{_LANES}f32",
        )
        pointer = builder.gep(array.data, [args[1]])
        total = ir.Constant(_VECTOR, [0.0] * _LANES)
        for offset in range(0, WIDTH, _LANES):
            value = _load(builder, pointer, offset)
            total = builder.call(fma, [value, value, total])
        return builder.call(reduce, [ir.Constant(_FLOAT, 0.0), total], fastmath=("reassoc",))

    return types.float32(row, types.intp), codegen


@intrinsic
def _float_of_bits(typing_context, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _FLOAT)

    return types.float32(types.int32), codegen


@intrinsic
def _bits_of_float(typing_context, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


# Minimax polynomial of 2**f on [-1/2, 1/2], exact at 0, relative error 1.6e-7 in float32.
_E1, _E2, _E3, _E4, _E5 = (
    np.float32(c)
    for c in (
        0.693146977598109,
        0.24022242084294898,
        0.05550733744503417,
        0.00967151270154733,
        0.0013264726943201482,
    )
)
_ONE = np.float32(1.0)
_MINUS_LOG2_E = np.float32(-1.4426950408889634)
# Adding it rounds to an integer, which is then found in the lowest bits.
_ROUNDER = np.float32(1.5 * 2**23)
# exp(41) squared is finite, and 1 + exp(-41) is 1.
_LARGEST = np.float32(41.0)


# No "reassoc": it would cancel the rounder.
@njit(fastmath={"contract", "nsz", "arcp", "afn"}, nogil=True, cache=True)
def exp_minus(x: Any) -> Any:
    """Return exp(-x) in float32, to 2e-6, for x clipped to [-41, 41]; loops of it vectorise."""
    above = x if x > -_LARGEST else -_LARGEST
    clipped = above if above < _LARGEST else _LARGEST
    rounded = clipped * _MINUS_LOG2_E + _ROUNDER
    n = rounded - _ROUNDER
    f = clipped * _MINUS_LOG2_E - n
    p = _ONE + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * _E5))))
    return _float_of_bits((_bits_of_float(rounded) << np.int32(23)) + _bits_of_float(p))


# cos(2 pi q) on [-1/4, 1/4] in powers of q**2.
_C0, _C1, _C2, _C3, _C4, _C5 = (
    np.float32(c)
    for c in (
        0.9999999997806577,
        -19.73920854891516,
        64.93934662959566,
        -85.45357162923712,
        60.14401510728414,
        -24.982237750989796,
    )
)


@njit(fastmath=FAST, nogil=True, cache=True)
def sin_turns(turns: Any) -> Any:
    """Return sin(2 pi turns) in float32, absolute error below 3e-7; loops of it vectorise.

    ``turns`` is float64, so that many turns cost no accuracy.
    """
    r = np.float32(turns - np.floor(turns + 0.5))
    q = abs(r) - np.float32(0.25)
    s = q * q
    value = _C0 + s * (_C1 + s * (_C2 + s * (_C3 + s * (_C4 + s * _C5))))
    return value if r > np.float32(0.0) else -value
