// Elements of batches: what float32 results become.
#ifndef GPUIO_ELEMENTS_H
#define GPUIO_ELEMENTS_H

#include "arithmetic.h"

struct Half {
    unsigned short bits;
};

// For a host compiler, tests/kernels/shim.h defines it.
#ifdef __CUDACC__
__device__ __forceinline__ Half to_half(float value) {
    Half half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(value));
    return half;
}
#endif

__device__ __forceinline__ void store(float* to, float value) {
    *to = value;
}

__device__ __forceinline__ void store(Half* to, float value) {
    *to = to_half(value);
}

__device__ __forceinline__ void store(unsigned char* to, float value) {
    *to = (unsigned char)to_integer(value, 0.0f, 255.0f);
}

__device__ __forceinline__ void store(signed char* to, float value) {
    *to = (signed char)to_integer(value, -128.0f, 127.0f);
}

#endif
