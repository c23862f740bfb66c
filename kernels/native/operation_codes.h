// What kernels/augment.cu and the native module share of operations on pixels.

#ifndef GPUIO_OPERATION_CODES_H
#define GPUIO_OPERATION_CODES_H

// Numbered as in gpuio/planning/operations.py.
enum {
    IDENTITY,
    WARP_NEAREST,
    WARP_BILINEAR,
    BRIGHTNESS,
    SATURATION,
    CONTRAST,
    SHARPNESS,
    POSTERIZE,
    SOLARIZE,
    INVERT,
    AUTOCONTRAST,
    EQUALIZE,
    HUE,
    ERASE
};

// Bits of the fraction of a map's numbers, and of the weights of its interpolation.
enum { FRACTION = 32, WEIGHT = 16 };

#endif
