// Rows of pixels to rows of a batch: normalize, cast, lay out.

#include <string.h>

#include "internal.h"

// Each channel's value at column x of a row of pixels, 4 bytes each; one byte if there is one channel.
#define STORE(type, value)                                                                 \
    do {                                                                                   \
        type* restrict to = (type*)batch + (size_t)sample->row * plane * (size_t)channels; \
        if (channels == 1) {                                                               \
            enum { c = 0 };                                                                \
            to += (size_t)y * (size_t)width;                                               \
            for (int32_t x = 0; x < width; ++x) {                                          \
                const uint32_t pixel = pixels[x];                                          \
                to[x] = value;                                                             \
            }                                                                              \
        } else if (output->interleaved) {                                                  \
            to += (size_t)y * (size_t)width * 3;                                           \
            for (int32_t x = 0; x < width; ++x)                                            \
                for (int c = 0; c < 3; ++c) {                                              \
                    const uint32_t pixel = pixels[4 * x + c];                              \
                    to[3 * x + c] = value;                                                 \
                }                                                                          \
        } else {                                                                           \
            const uint32_t* restrict words = (const uint32_t*)(const void*)pixels;         \
            to += (size_t)y * (size_t)width;                                               \
            for (int c = 0; c < 3; ++c, to += plane)                                       \
                for (int32_t x = 0; x < width; ++x) {                                      \
                    const uint32_t pixel = words[x] >> (8 * c) & 255;                      \
                    to[x] = value;                                                         \
                }                                                                          \
        }                                                                                  \
    } while (0)

static VECTORIZED void store(const struct gpuio_output* output, const struct gpuio_sample* sample,
                             int32_t y, const uint8_t* pixels, void* batch) {
    const int32_t width = output->width, channels = output->channels;
    const size_t plane = (size_t)width * (size_t)output->height;
    const uint8_t* bytes = output->table;
    const uint16_t* halves = output->table;
    float factor[3], shift[3];
    for (int c = 0; c < channels; ++c) {
        factor[c] = output->light ? sample->light[0] * output->factor[c] : output->factor[c];
        shift[c] = sample->light[1] * output->factor[c];
    }
    const float* offset = output->offset;
    switch (output->type) {
        case GPUIO_FLOAT32:
            if (output->light)
                STORE(float, ((float)(int32_t)pixel - offset[c]) * factor[c] + shift[c]);
            else
                STORE(float, ((float)(int32_t)pixel - offset[c]) * factor[c]);
            break;
        case GPUIO_FLOAT16:
            STORE(uint16_t, halves[256 * c + (int)pixel]);
            break;
        case GPUIO_UINT8:
            STORE(uint8_t, (uint8_t)pixel);
            break;
        default:
            STORE(uint8_t, bytes[256 * c + (int)pixel]);
    }
}

void store_row(const struct gpuio_output* output, const struct gpuio_sample* sample, int32_t y,
               const uint8_t* pixels, void* batch) {
    store(output, sample, y, pixels, batch);
}
