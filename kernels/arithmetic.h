// Arithmetic that the kernels share: each function is one operation of IEEE 754, rounded to
// nearest, with subnormals, so that a kernel gives the bits of its host twin.
//
// CUDA's own operators are contracted to fused multiply-adds, and CuPy compiles with -ftz=true, with
// which the float32 intrinsics (__fmul_rn) flush subnormals too. Hence PTX. A host compiler needs
// -ffp-contract=off.
//
// Comparisons, minima and maxima do flush subnormals. Where these can occur, the result is rounded
// to an integer, to 0 in either case.
#ifndef GPUIO_ARITHMETIC_H
#define GPUIO_ARITHMETIC_H

#ifdef __CUDACC__
#define OPERATION(name, instruction, Number, constraint)                                         \
    __device__ __forceinline__ Number name(Number a, Number b) {                                 \
        Number result;                                                                           \
        asm(instruction " %0, %1, %2;" : "=" constraint(result) : constraint(a), constraint(b)); \
        return result;                                                                           \
    }

OPERATION(add, "add.rn.f32", float, "f")
OPERATION(subtract, "sub.rn.f32", float, "f")
OPERATION(multiply, "mul.rn.f32", float, "f")
OPERATION(divide, "div.rn.f32", float, "f")
OPERATION(add, "add.rn.f64", double, "d")
OPERATION(multiply, "mul.rn.f64", double, "d")
OPERATION(divide, "div.rn.f64", double, "d")
#undef OPERATION

__device__ __forceinline__ float to_float(double value) {
    float result;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(result) : "d"(value));
    return result;
}
#else
#define OPERATION(name, operator, Number)    \
    inline Number name(Number a, Number b) { \
        return a operator b;                 \
    }

OPERATION(add, +, float)
OPERATION(subtract, -, float)
OPERATION(multiply, *, float)
OPERATION(divide, /, float)
OPERATION(add, +, double)
OPERATION(multiply, *, double)
OPERATION(divide, /, double)
#undef OPERATION

inline float to_float(double value) {
    return (float)value;
}
#endif

// What becomes of the result of a color matrix. The last two clip it to 0..255, too.
enum Rounding { UNROUNDED, NEAREST_INTEGER, TOWARD_ZERO };

// If one argument is NaN, fmaxf returns the other.
__device__ __forceinline__ int to_integer(float value, float lowest, float highest) {
    return (int)rintf(fminf(fmaxf(value, lowest), highest));
}

// One row of a color matrix.
__device__ __forceinline__ float mix(const float* m, float r, float g, float b, int rounding) {
    const float value =
        add(add(add(multiply(m[0], r), multiply(m[1], g)), multiply(m[2], b)), m[3]);
    if (rounding == UNROUNDED) return value;
    const float clipped = fminf(fmaxf(value, 0.0f), 255.0f);
    return rounding == NEAREST_INTEGER ? rintf(clipped) : truncf(clipped);
}

#endif
