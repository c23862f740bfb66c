// mix: MixUp and CutMix of an assembled batch, in place.
//
// In     cycle   int32 (N), each row of the batch once
//        box     int32 (N, 4), x0, y0, x1, y1: the pixels of each row that are mixed
//        weight  float32 (N)
// Out    batch   Element (N, C, H, W) or (N, H, W, C), dense: row cycle[k] becomes
//                weight * row cycle[k] + (1 - weight) * row cycle[k + 1] within its box; after the
//                last of the cycle comes the first. With a weight of 0 values are copied.
//
// Each operation is one of float32, rounded to nearest and none fused; the results are stored as
// assemble.cu stores them: integers rounded to nearest and clipped.
//
// Threads  One thread mixes one element of all rows, along the cycle, so that no other thread reads
//          what it writes: any grid and block, in one dimension. N rows are read and written once.
// Memory   Accesses of a warp are contiguous.
// Align    each pointer to its element type.
// Bounds   C*H*W < 2^31; boxes may reach beyond the image. Only elements within boxes are written.
// Twin     mix_batch in gpuio/execution/mixing.py.

#include "elements.h"

__device__ __forceinline__ float load(float value) {
    return value;
}

__device__ __forceinline__ float load(unsigned char value) {
    return (float)value;
}

__device__ __forceinline__ float load(signed char value) {
    return (float)value;
}

// Exact: a half's exponent is 112 less than a float's; subnormal ones are multiples of 2^-24.
__device__ __forceinline__ float load(Half half) {
    const unsigned magnitude = half.bits & 0x7fffu, sign = (half.bits & 0x8000u) << 16;
    const float least = multiply((float)(int)magnitude, 0x1p-24f);
    unsigned bits;
    memcpy(&bits, &least, sizeof bits);
    if (magnitude >= 0x7c00u)
        bits = magnitude << 13 | 0x7f800000u;
    else if (magnitude >= 0x400u)
        bits = (magnitude << 13) + (112u << 23);
    bits |= sign;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename Element>
__device__ __forceinline__ void mix_rows(Element* batch, const int* cycle, const int* box,
                                         const float* weight, long long count, int height,
                                         int width, int channels, int planar) {
    const int size = height * width * channels;
    const int threads = gridDim.x * blockDim.x;
    for (int at = blockIdx.x * blockDim.x + threadIdx.x; at < size; at += threads) {
        const int position = planar ? at % (height * width) : at / channels;
        const int y = position / width, x = position - y * width;
        const Element first = batch[(long long)cycle[0] * size + at];
        Element own = first;
        for (long long k = 0; k < count; ++k) {
            const int row = cycle[k];
            const Element partner =
                k + 1 < count ? batch[(long long)cycle[k + 1] * size + at] : first;
            const int* inside = box + 4 * row;
            const float share = weight[row];
            Element* to = batch + (long long)row * size + at;
            if (x >= inside[0] && x < inside[2] && y >= inside[1] && y < inside[3]) {
                if (share == 0.0f)
                    *to = partner;
                else
                    store(to, add(multiply(share, load(own)),
                                  multiply(subtract(1.0f, share), load(partner))));
            }
            own = partner;
        }
    }
}

#define KERNEL(name, Element)                                                                    \
    extern "C" __global__ void name(Element* batch, const int* cycle, const int* box,            \
                                    const float* weight, long long count, int height, int width, \
                                    int channels, int planar) {                                  \
        mix_rows(batch, cycle, box, weight, count, height, width, channels, planar);             \
    }

KERNEL(mix_float32, float)
KERNEL(mix_float16, Half)
KERNEL(mix_uint8, unsigned char)
KERNEL(mix_int8, signed char)
