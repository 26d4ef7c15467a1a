"""Which operators both importers know, each beside what computes the same on the other side.

python -m mho.network.operators > docs/operators.md        the table in the documentation
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from mho.network.composites import PLAIN


def _ranks(name: str) -> str:
    return " ".join(f"{name}{rank}d" for rank in (1, 2, 3))


TWINS: Mapping[str, str] = {
    # Windows
    f"{_ranks('conv')} convolution _convolution": "Conv",
    _ranks("conv_transpose"): "ConvTranspose",
    _ranks("max_pool"): "MaxPool",
    _ranks("avg_pool"): "AveragePool",
    _ranks("adaptive_avg_pool"): "AveragePool GlobalAveragePool",
    _ranks("adaptive_max_pool"): "MaxPool GlobalMaxPool",
    # Products, attention, recurrence
    "linear addmm addmv": "Gemm",
    "matmul bmm mm mv dot": "MatMul",
    "baddbmm": "MatMul Mul Add",
    "einsum tensordot inner outer ger": "Einsum",
    "scaled_dot_product_attention": "MatMul Mul Add Softmax",
    "lstm lstm_cell": "LSTM",
    "gru gru_cell": "GRU",
    "rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell": "RNN",
    "embedding": "Gather",
    "embedding_bag": "Gather ReduceSum ReduceMean ReduceMax",
    # Normalisations and reductions
    "batch_norm _native_batch_norm_legit_no_training": "BatchNormalization",
    "layer_norm": "LayerNormalization",
    "rms_norm": "RMSNormalization",
    "group_norm": "GroupNormalization",
    "instance_norm": "InstanceNormalization",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "prod": "ReduceProd",
    "amax": "ReduceMax",
    "amin": "ReduceMin",
    "max": "Max ReduceMax",
    "min": "Min ReduceMin",
    "all": "ReduceMin Cast",
    "any": "ReduceMax Cast",
    "argmax": "ArgMax",
    "argmin": "ArgMin",
    "cumsum": "CumSum",
    "logsumexp": "ReduceLogSumExp",
    "linalg_vector_norm norm": "ReduceL1 ReduceL2",
    "var std": "ReduceMean Sub Mul Sqrt",
    "cosine_similarity": "Mul ReduceSum ReduceL2 Max Div",
    # Functions of one element
    **{
        name.lower(): name
        for name in (
            *map(str.capitalize, PLAIN), "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "Softplus", "PRelu",
            "Round", "IsNaN", "IsInf",
        )
    },
    "leaky_relu": "LeakyRelu",
    "relu6 hardtanh clamp clip clamp_min clamp_max": "Clip",
    "silu": "Swish",
    "log_sigmoid": "Sigmoid Log",
    "glu": "Split Sigmoid Mul",
    "rsqrt": "Sqrt Reciprocal",
    "square": "Mul",
    "softshrink hardshrink": "Shrink",
    "threshold": "ThresholdedRelu Greater Where",
    "log1p": "Add Log",
    "log2 log10": "Log Mul",
    "expm1": "Exp Sub",
    "exp2": "Mul Exp",
    "trunc": "Sign Abs Floor Mul",
    "logical_not": "Not",
    "bitwise_not": "BitwiseNot",
    "to _to_copy type_as": "Cast CastLike",
    # Two operands
    "add": "Add",
    "sub rsub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "floor_divide": "Div Floor",
    "addcmul addcdiv lerp": "Mul Div Add Sub",
    "pow": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "remainder fmod": "Mod",
    "eq __eq__": "Equal",
    "ne not_equal": "Equal Not",
    "lt less": "Less",
    "le less_equal": "LessOrEqual",
    "gt greater": "Greater",
    "ge greater_equal": "GreaterOrEqual",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "bitwise_and __and__": "BitwiseAnd",
    "bitwise_or __or__": "BitwiseOr",
    "bitwise_xor __xor__": "BitwiseXor",
    "bitwise_left_shift __lshift__ bitwise_right_shift __rshift__": "BitShift",
    "masked_fill where": "Where",
    # Movement
    "contiguous clone alias detach lift_fresh lift_fresh_copy identity positive": "Identity",
    "dropout feature_dropout alpha_dropout feature_alpha_dropout": "Dropout",
    "view reshape unflatten _unsafe_view view_as reshape_as": "Reshape",
    "flatten": "Flatten",
    "squeeze": "Squeeze",
    "unsqueeze": "Unsqueeze",
    "permute transpose swapaxes swapdims t adjoint mT numpy_T movedim moveaxis": "Transpose",
    "expand expand_as broadcast_to": "Expand",
    "repeat tile repeat_interleave": "Tile",
    "slice narrow select unbind": "Slice",
    "split split_with_sizes chunk unsafe_split unsafe_chunk": "Split",
    "cat concat concatenate stack": "Concat",
    f"pad constant_pad_nd {_ranks('reflection_pad')} {_ranks('replication_pad')}": "Pad",
    "roll": "Slice Concat",
    "flip": "Slice",
    "index index_select": "Gather GatherND",
    "gather": "GatherElements",
    "one_hot": "OneHot",
    "tril triu": "Trilu",
    "pixel_shuffle": "DepthToSpace",
    "pixel_unshuffle": "SpaceToDepth",
    "col2im": "Col2Im",
    "channel_shuffle native_channel_shuffle": "Reshape Transpose",
    "unfold im2col": "Gather Reshape Transpose",
    f"{_ranks('upsample_nearest')} {_ranks('_upsample_nearest_exact')} upsample_linear1d upsample_bilinear2d "
    "upsample_trilinear3d upsample_bicubic2d": "Resize Upsample",
    "zeros_like ones_like full_like new_zeros new_ones new_full": "ConstantOfShape",
}  # fmt: skip
"""Operators of torch, and the ONNX operators that compute the same, or of which a file is made that does."""

ALONE: Mapping[str, str] = {
    "Shape Size": "torch says shapes while a module is traced",
    "Range EyeLike NonZero Compress": "known when a file is read; torch computes such values while a module is traced",
    "Constant": "a value that is stored in the graph",
    "LRN": "torch traces it as a square, an average pooling, a power and a product: the same layers",
    "LpPool GlobalLpPool": "torch traces them as powers around an average pooling",
    "CenterCropPad": "slices and paddings in torch",
    "Sum Mean": "sums of several tensors are several additions in torch",
    "ReduceLogSum ReduceSumSquare": "two operators in torch: sum and log, square and sum",
    "LpNormalization MeanVarianceNormalization Hardmax": "several operators in torch, all known",
}
"""ONNX operators that no torch operator stands for alone, and why."""


def table() -> str:
    """Write the documentation's table, of the operators that the two importers know."""
    from mho.network import onnx_reader, torch, torch_image
    from mho.network.onnx_quantised import REFUSED

    lines = [
        "# Operators",
        "",
        "What both importers know, made from their registries by `python -m mho.network.operators > docs/operators.md`.",
        "Operators of torch stand without namespace and overload, in-place ones without their underscore. Where several ONNX",
        "operators stand, a file is made of them. Anything else is refused by name, with the node, the module or the file.",
        "",
        "| torch | ONNX |",
        "|---|---|",
    ]
    for names, others in TWINS.items():
        known = [name for name in names.split() if name in torch.HANDLERS]
        if known:
            lines.append(f"| {_listed(known)} | {_listed(others.split())} |")
    lines += ["", "| ONNX alone | why |", "|---|---|"]
    lines += [f"| {_listed(names.split())} | {reason} |" for names, reason in ALONE.items()]
    coded = sorted({*onnx_reader.CODING, *onnx_reader.QUANTISED} - set(REFUSED))
    lines += ["", "`If` runs the branch that its condition, known when the file is read, chooses."]
    lines += ["", f"Quantised files: {_listed(coded)}."]
    lines += ["", f"Refused by name, with what helps: {_listed(sorted({*REFUSED, *torch_image.REFUSED}))}."]
    return "\n".join(lines) + "\n"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(table())
