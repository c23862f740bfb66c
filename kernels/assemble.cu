// assemble: uint8 samples to the final batch, in one pass.
//
// In     pixels  uint8 (M, H, W, C), dense, C = 1, 3 or 4 in the order R, G, B, A
//        mirror  uint8 (M), nonzero: flip the sample left to right; null: flip none
//        matrix  float32 (M, 3, 4), color matrices, only with C = 3; null: none
//        light   float32 (M, 2), gain and shift of each sample; null: 1 and 0
//        rows    int32 (N), output sample n is made from sample rows[n]; null: from sample n
//        mean    float32 (C, H, W), subtracted instead of the offsets; null: these are
//        rounding of a matrix's result: 0 none, 1 to nearest even, 2 toward 0; 1 and 2 clip to 0..255
//        scaling by value: offset and factor of each channel
// Out    out     (N, C, H, W) or (N, H, W, C), dense, of the dtype in the kernel's name
//
// For output column x and channel c, pixel is sample rows[n] at column x, or at column W-1-x if the
// sample is mirrored:
//
//        v[c] = pixel[c]                                                  without a matrix
//        v[c] = round(((m[c][0]*r + m[c][1]*g) + m[c][2]*b) + m[c][3])    with a matrix
//        out  = cast((v[c] - offset[c]) * factor[c])                      without light
//        out  = cast((v[c] - offset[c]) * (gain * factor[c]) + shift * factor[c])    with light
//
// With a mean image, offset[c] is its value at the output's pixel, or with mirror_mean where the
// pixel is read: at column W-1-x if the sample is mirrored.
//
// Each operation is one float32 operation, rounded to nearest, with subnormals and without fused
// multiply-add. The cast to float16 rounds to nearest even; casts to integers map NaN to the lowest
// value, round half to even and saturate.
//
// Threads  One thread computes all channels of one pixel. blockIdx.y strides over samples, x
//          over a sample's pixels, so any launch size is valid. No shared memory, no barriers.
// Memory   C bytes are read and C elements written for each pixel. A warp reads contiguous bytes, and
//          writes contiguous elements of each plane.
// Align    Each pointer is aligned to its element type.
// Bounds   0 <= rows[n] < M (without rows N <= M), H*W < 2^31; the caller checks them. All
//          bytes of out are written, and nothing else. out does not overlap the inputs.
// Twin     HostAssembler in gpuio/execution/assemble_host.py; the naive reference is
//          tests/kernels/reference.py.

#include "elements.h"

struct Scaling {
    float offset[4];
    float factor[4];
};

template <typename Element, bool PLANAR, int CHANNELS>
__device__ __forceinline__ void assemble(Element* out, const unsigned char* pixels,
                                         const unsigned char* mirror, const float* matrix,
                                         const float* light, const int* rows, const float* mean,
                                         long long count, int height, int width, int rounding,
                                         int mirror_mean, const Scaling& scaling) {
    const long long size = (long long)height * width;
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long stride = (long long)gridDim.x * blockDim.x;

    for (long long n = blockIdx.y; n < count; n += gridDim.y) {
        const long long sample = rows ? rows[n] : n;
        const unsigned char* from = pixels + sample * size * CHANNELS;
        Element* to = out + n * size * CHANNELS;
        const bool flip = mirror && mirror[sample];
        const float* m = CHANNELS == 3 && matrix ? matrix + sample * 12 : nullptr;
        float gain[CHANNELS], shift[CHANNELS];
        for (int c = 0; c < CHANNELS; ++c) {
            gain[c] = scaling.factor[c];
            if (light) {
                gain[c] = multiply(light[sample * 2], scaling.factor[c]);
                shift[c] = multiply(light[sample * 2 + 1], scaling.factor[c]);
            }
        }

#pragma unroll 1
        for (long long position = first; position < size; position += stride) {
            long long source = position;
            if (flip) {
                const int x = (int)position % width;
                source = position - x + (width - 1 - x);
            }
            float value[CHANNELS];
            for (int c = 0; c < CHANNELS; ++c) value[c] = (float)from[source * CHANNELS + c];
            if constexpr (CHANNELS == 3) {
                if (m) {
                    const float r = value[0], g = value[1], b = value[2];
                    for (int c = 0; c < CHANNELS; ++c) value[c] = mix(m + 4 * c, r, g, b, rounding);
                }
            }
            for (int c = 0; c < CHANNELS; ++c) {
                const float offset =
                    mean ? mean[c * size + (mirror_mean ? source : position)] : scaling.offset[c];
                float result = multiply(subtract(value[c], offset), gain[c]);
                if (light) result = add(result, shift[c]);
                store(to + (PLANAR ? c * size + position : position * CHANNELS + c), result);
            }
        }
    }
}

#define KERNEL(name, Element, PLANAR)                                                           \
    extern "C" __global__ void name(Element* out, const unsigned char* pixels,                  \
                                    const unsigned char* mirror, const float* matrix,           \
                                    const float* light, const int* rows, const float* mean,     \
                                    long long count, int height, int width, int channels,       \
                                    int rounding, int mirror_mean, Scaling scaling) {           \
        if (channels == 1)                                                                      \
            assemble<Element, PLANAR, 1>(out, pixels, mirror, matrix, light, rows, mean, count, \
                                         height, width, rounding, mirror_mean, scaling);        \
        else if (channels == 3)                                                                 \
            assemble<Element, PLANAR, 3>(out, pixels, mirror, matrix, light, rows, mean, count, \
                                         height, width, rounding, mirror_mean, scaling);        \
        else if (channels == 4)                                                                 \
            assemble<Element, PLANAR, 4>(out, pixels, mirror, matrix, light, rows, mean, count, \
                                         height, width, rounding, mirror_mean, scaling);        \
    }

KERNEL(assemble_float32_nchw, float, true)
KERNEL(assemble_float32_nhwc, float, false)
KERNEL(assemble_float16_nchw, Half, true)
KERNEL(assemble_float16_nhwc, Half, false)
KERNEL(assemble_uint8_nchw, unsigned char, true)
KERNEL(assemble_uint8_nhwc, unsigned char, false)
KERNEL(assemble_int8_nchw, signed char, true)
KERNEL(assemble_int8_nhwc, signed char, false)
