#ifndef OCT_OPS_ATTR_H
#define OCT_OPS_ATTR_H

/* The parameters of all operators on one page, and the places of their operands in oct_args.in.
 * Images are BLOCKED n,h,w,c (tensor/tensor.h); constants are DENSE and as PyTorch stores them. */

/* y = f(x), elementwise.  RELU is x < 0 ? 0 : x, RELU6 also clamps at 6; GELU is the exact one,
 * x Phi(x).  The first three can be fused into conv2d, linear and add, and keep U8 as it is
 * quantized: the real zero and 6 have their bytes; all can into a linear whose y is FP32. */
typedef enum oct_act {
    OCT_ACT_NONE, OCT_ACT_RELU, OCT_ACT_RELU6,
    OCT_ACT_SIGMOID, OCT_ACT_TANH, OCT_ACT_GELU,
    OCT_ACT_COUNT
} oct_act;
const char *oct_act_name(oct_act act); /* "relu"; "none" */

/* How an operator's output is quantized: U8, real = scale (q - zero), 0 <= q <= max.  scale 0: the
 * output is FP32.  A graph's values point here with their scale (oct_quant_out, ops/quantized.h).
 * Operators that move values (layout, pad, flatten, a maximum) hand on what they are given. */
typedef struct oct_quant {
    float scale;
    int zero, max;         /* max 127 or 255 */
} oct_quant;

/* layout: x DENSE [n, c, h, w] -> y BLOCKED [n, h, w, c] */
enum { OCT_LAYOUT_X };

/* conv2d: torch.nn.Conv2d, then + residual, then act.
 * x [n,h,w,c]  w [out, c/groups, kh, kw] (F32, F16, BF16; scale per row: a folded batch norm)
 * bias F32 [out] or absent   residual like y, or absent
 * x U8: w S8 (scale per row), bias S32 in units of s_x s_w[o], or F32; y as
 * quant says, residual U8 in any scale if y is U8, else FP32.  linear too.
 * x FP32, w S8: x is quantized at run time, an image (linear: a row) at a time; all else FP32.
 * sparse: OCT_CPU_* flags of the ISAs on which these weights run as sparse blocks, as the file says
 * (ops/sparse.h); the results are the same.  linear too. */
enum { OCT_CONV2D_X, OCT_CONV2D_W, OCT_CONV2D_BIAS, OCT_CONV2D_RESIDUAL };
typedef struct oct_conv2d_attr {
    int stride[2], pad[2], dilation[2]; /* vertical, horizontal */
    int groups;
    oct_act act;
    oct_quant quant;
    int sparse;
} oct_conv2d_attr;

/* linear: torch.nn.Linear, then + residual, then act.
 * x [m, k]  w [n, k] (scale per row)  bias F32 [n] or absent  residual [m, n] or absent
 * x may also be a BLOCKED image [m,h,w,c] with h*w*c = k, when pass_fuse removed the flatten
 * before it: w then still has PyTorch's order of features (c, h, w), prepare permutes. */
enum { OCT_LINEAR_X, OCT_LINEAR_W, OCT_LINEAR_BIAS, OCT_LINEAR_RESIDUAL };
typedef struct oct_linear_attr {
    oct_act act;
    oct_quant quant;
    int sparse;
} oct_linear_attr;

/* batchnorm: torch.nn.BatchNorm2d (BLOCKED x) or 1d (DENSE [m, c]), eval mode.
 * y = gamma (x - mean) / sqrt(var + eps) + beta, each [c]; gamma, beta absent: 1, 0 */
enum {
    OCT_BATCHNORM_X, OCT_BATCHNORM_GAMMA, OCT_BATCHNORM_BETA,
    OCT_BATCHNORM_MEAN, OCT_BATCHNORM_VAR
};
typedef struct oct_batchnorm_attr {
    float eps;
} oct_batchnorm_attr;

/* activation: y = act(x), any shape and layout */
enum { OCT_ACTIVATION_X };
typedef struct oct_activation_attr {
    oct_act act;
} oct_activation_attr;

/* pool: torch.nn.MaxPool2d, AvgPool2d (count_include_pad as PyTorch's default, 1: every window is
 * divided by kernel[0] * kernel[1], padding counted), AdaptiveAvgPool2d (out; kernel unused).
 * The average is the sum over the window's rows, then columns, in rising order from +0, then
 * multiplied by the reciprocal of the count, rounded to FP32.
 * x U8: a maximum keeps its quantization; an average is exact in integers, then one multiplication,
 * to U8 as quant says or to FP32. */
enum { OCT_POOL_X };
typedef enum oct_pool_kind { OCT_POOL_MAX, OCT_POOL_AVG, OCT_POOL_ADAPTIVE_AVG } oct_pool_kind;
typedef struct oct_pool_attr {
    oct_pool_kind kind;
    int kernel[2], stride[2], pad[2], dilation[2];
    int count_include_pad;
    int out[2];
    oct_quant quant;
} oct_pool_attr;

/* add: y = act(a + b), same shape and layout; a and b both FP32, or both U8 and y as quant says */
enum { OCT_ADD_A, OCT_ADD_B };
typedef struct oct_add_attr {
    oct_act act;
    oct_quant quant;
} oct_add_attr;

/* concat: along channels (last dim of both layouts); in[0], in[1], ... until NULL */

/* pad: He's option-A shortcut, F.pad(x[:, :, ::s, ::s], (0,0,0,0,before,after)), BLOCKED images */
enum { OCT_PAD_X };
typedef struct oct_pad_attr {
    int stride[2];
    int before, after; /* zero channels */
} oct_pad_attr;

/* flatten: BLOCKED [n,h,w,c] -> DENSE [n, c*h*w] in PyTorch's order (c, h, w); DENSE: [n, rest] */
enum { OCT_FLATTEN_X };

/* quantize: FP32 -> U8 as quant says, q = clamp(round_half_even(x * (1 / scale)) + zero, 0, max),
 * NaN 0;  dequantize: U8 -> FP32, (q - zero) scale;  any shape and layout.
 * With by, F32 [d], x is DENSE [m, d] and its column c counts by[c] times: x * (by[c] / scale) is
 * rounded, the quotient first.  The weights that read it are those of x / by. */
enum { OCT_QUANTIZE_X, OCT_DEQUANTIZE_X = OCT_QUANTIZE_X, OCT_QUANTIZE_BY };
typedef struct oct_quantize_attr {
    oct_quant quant;
} oct_quantize_attr;

/* softmax: over the last dim of a DENSE [m, k] */
enum { OCT_SOFTMAX_X };

/* layernorm: torch.nn.LayerNorm over the last dim of a DENSE [m, d]; gamma, beta [d] */
enum { OCT_LAYERNORM_X, OCT_LAYERNORM_GAMMA, OCT_LAYERNORM_BETA };
typedef struct oct_layernorm_attr {
    float eps;             /* >= 0 */
} oct_layernorm_attr;

/* Texts lie one after the other, without padding: a row is a token, and `starts`, S32 [texts + 1],
 * says in which row each text begins; starts[0] is 0, the last entry in use the number of tokens.
 * Everything but the next three operators works on rows and knows of no texts. */

/* embedding: layernorm(word[ids[i]] + type[types[i]] + position[i - begin of its text]), in this
 * order.  ids, types S32 [tokens]; word, position, type [rows, d] (F32, F16, BF16; S8 with a scale
 * for each row); types and type are both there or both absent.  The caller has checked ids, types
 * and the texts' lengths. */
enum {
    OCT_EMBEDDING_IDS, OCT_EMBEDDING_STARTS, OCT_EMBEDDING_TYPES, OCT_EMBEDDING_WORD,
    OCT_EMBEDDING_POSITION, OCT_EMBEDDING_TYPE, OCT_EMBEDDING_GAMMA, OCT_EMBEDDING_BETA
};
typedef struct oct_embedding_attr {
    float eps;             /* of the LayerNorm, >= 0 */
} oct_embedding_attr;

/* attention: y[i] = softmax(q[i] k^T / sqrt(d / heads)) v over the tokens of i's own text, for each
 * head's d / heads columns.  x [tokens, 3 d] holds q, k and v side by side, y [tokens, d].
 * Or q [texts, d] is an operand: a query for each text; then x [tokens, 2 d] holds k and v, and y
 * is [texts, d]. */
enum { OCT_ATTENTION_X, OCT_ATTENTION_STARTS, OCT_ATTENTION_Q };
typedef struct oct_attention_attr {
    int heads;
    int length;            /* tokens of the longest text */
} oct_attention_attr;

/* first: y[t] = x[starts[t]], the row of each text's first token; x [tokens, d], y [texts, d] */
enum { OCT_FIRST_X, OCT_FIRST_STARTS };

#endif
