// kernels/assemble.cu for the host: each kernel becomes launch_NAME(launch, arguments...), with all
// arguments passed by pointer.
#include "shim.h"

#include "../../kernels/assemble.cu"

// Round to nearest even, with integer arithmetic only.
static inline Half to_half(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    const unsigned sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    unsigned half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u;  // NaN
    } else if (magnitude >= 0x47800000u) {
        half = 0x7c00u;  // 65536 and above
    } else {
        // Spacing of halves at this magnitude, as a shift of the full 24-bit significand.
        const unsigned exponent = magnitude >> 23;
        const bool normal = exponent >= 113;
        const unsigned shift = normal ? 13 : exponent < 102 ? 25 : 126 - exponent;
        const unsigned significand = magnitude & 0x7fffffu;
        const unsigned whole = normal     ? magnitude - (112u << 23)
                               : exponent ? significand | 0x800000u
                                          : 0;
        const unsigned rest = whole & ((1u << shift) - 1), middle = 1u << (shift - 1);
        half = whole >> shift;
        if (rest > middle || (rest == middle && half & 1))
            ++half;  // a carry correctly increments the exponent
    }
    return {(unsigned short)(sign | half)};
}

#define LAUNCHER(name, Element)                                                                   \
    extern "C" void launch_##name(const unsigned* launch, void* out, const unsigned char* pixels, \
                                  const unsigned char* mirror, const float* matrix,               \
                                  const float* light, const int* rows, const float* mean,         \
                                  const long long* count, const int* height, const int* width,    \
                                  const int* channels, const int* rounding,                       \
                                  const int* mirror_mean, const Scaling* scaling) {               \
        run(name, launch, (Element*)out, pixels, mirror, matrix, light, rows, mean, *count,       \
            *height, *width, *channels, *rounding, *mirror_mean, *scaling);                       \
    }

LAUNCHER(assemble_float32_nchw, float)
LAUNCHER(assemble_float32_nhwc, float)
LAUNCHER(assemble_float16_nchw, Half)
LAUNCHER(assemble_float16_nhwc, Half)
LAUNCHER(assemble_uint8_nchw, unsigned char)
LAUNCHER(assemble_uint8_nhwc, unsigned char)
LAUNCHER(assemble_int8_nchw, signed char)
LAUNCHER(assemble_int8_nhwc, signed char)

extern "C" unsigned short half_of(float value) {
    return to_half(value).bits;
}
