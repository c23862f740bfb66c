// Operations on the pixels of a sample: what RandAugment and its like are made of.
//
// Oracle  gpuio/execution/operations.py, bit for bit.

#include <string.h>

#include "internal.h"
#include "operation_codes.h"

#define INLINE static inline __attribute__((always_inline))

// An image, and the size of what it becomes.
struct image {
    const uint8_t* pixels;
    int32_t width, height;
    int32_t depth, channels;  // bytes of a pixel, and how many of them are its channels
};

INLINE size_t bytes_of(const struct image* image) {
    return (size_t)image->width * (size_t)image->height * (size_t)image->depth;
}

INLINE float clip(float value, float highest) {
    const float low = value < 0.0f ? 0.0f : value;
    return low > highest ? highest : low;
}

INLINE uint8_t truncated(float value) {
    return (uint8_t)(int32_t)clip(value, 255.0f);
}

// The gray of a color, rounded down. Of 1 / 10000 float32 is off by less than one.
INLINE int32_t gray_of(int32_t red, int32_t green, int32_t blue) {
    const int32_t total = 2989 * red + 5870 * green + 1140 * blue;
    const int32_t about = (int32_t)((float)total * 1e-4f);
    return about - (about * 10000 > total) + ((about + 1) * 10000 <= total);
}

// ------------------------------------------------------------------------------------- Warps

// The row of a map that moves whole rows: pixels from `shift` on.
INLINE void shift_row(uint8_t* to, const uint8_t* from, int64_t shift, int32_t width, int32_t depth,
                      const uint8_t* fill) {
    const int64_t before = shift < 0 ? (shift < -(int64_t)width ? width : -shift) : 0;
    const int64_t after = shift > 0 ? (shift > width ? width : shift) : 0;
    for (int64_t j = 0; j < before; ++j) memcpy(to + j * depth, fill, (size_t)depth);
    if (before + after < width)
        memcpy(to + before * depth, from + (before + shift) * depth,
               (size_t)((width - before - after) * depth));
    for (int64_t j = width - after; j < width; ++j) memcpy(to + j * depth, fill, (size_t)depth);
}

INLINE void warp_nearest_by(uint8_t* to, const struct image* image,
                            const struct gpuio_operation* operation, const int32_t depth) {
    int64_t map[6];
    for (int k = 0; k < 6; ++k) map[k] = (int64_t)operation->values[k];
    const int32_t width = image->width, height = image->height;
    const uint64_t across = (uint64_t)width << FRACTION, down = (uint64_t)height << FRACTION;
    const uint8_t* fill = operation->fill;
    for (int32_t i = 0; i < height; ++i, to += (ptrdiff_t)width * depth) {
        int64_t x = map[1] * i + map[2], y = map[4] * i + map[5];
        if (map[0] == (int64_t)1 << FRACTION && map[3] == 0) {
            const int outside = (uint64_t)y >= down;
            shift_row(to, outside ? to : image->pixels + (y >> FRACTION) * width * depth,
                      outside ? width : x >> FRACTION, width, depth, fill);
            continue;
        }
        for (int32_t j = 0; j < width; ++j, x += map[0], y += map[3]) {
            const int inside = (uint64_t)x < across && (uint64_t)y < down;
            const uint8_t* from =
                inside ? image->pixels + ((y >> FRACTION) * width + (x >> FRACTION)) * depth : fill;
            for (int32_t k = 0; k < depth; ++k) to[j * depth + k] = from[k];
        }
    }
}

INLINE const uint8_t* pixel_or(const struct image* image, int64_t x, int64_t y, int32_t depth,
                               const uint8_t* fill) {
    return x >= 0 && x < image->width && y >= 0 && y < image->height
               ? image->pixels + (y * image->width + x) * depth
               : fill;
}

INLINE void warp_bilinear_by(uint8_t* to, const struct image* image,
                             const struct gpuio_operation* operation, const int32_t depth) {
    int64_t map[6];
    for (int k = 0; k < 6; ++k) map[k] = (int64_t)operation->values[k];
    const int64_t half = (int64_t)1 << (FRACTION - 1);
    const uint64_t one = 1u << WEIGHT;
    for (int32_t i = 0; i < image->height; ++i) {
        int64_t x = map[1] * i + map[2] - half, y = map[4] * i + map[5] - half;
        for (int32_t j = 0; j < image->width; ++j, x += map[0], y += map[3], to += depth) {
            const int64_t left = x >> FRACTION, top = y >> FRACTION;
            const uint64_t across = (uint64_t)(x >> (FRACTION - WEIGHT)) & (one - 1);
            const uint64_t down = (uint64_t)(y >> (FRACTION - WEIGHT)) & (one - 1);
            const uint8_t* corners[4];
            for (int k = 0; k < 4; ++k)
                corners[k] =
                    pixel_or(image, left + (k & 1), top + (k >> 1), depth, operation->fill);
            for (int32_t c = 0; c < depth; ++c) {
                const uint64_t upper = corners[0][c] * (one - across) + corners[1][c] * across;
                const uint64_t lower = corners[2][c] * (one - across) + corners[3][c] * across;
                const uint64_t total = upper * (one - down) + lower * down;
                to[c] = (uint8_t)((total + ((uint64_t)1 << (2 * WEIGHT - 1))) >> (2 * WEIGHT));
            }
        }
    }
}

static void warp(uint8_t* to, const struct image* image, const struct gpuio_operation* operation) {
    const int nearest = operation->code == WARP_NEAREST;
    if (image->depth == 1)
        nearest ? warp_nearest_by(to, image, operation, 1)
                : warp_bilinear_by(to, image, operation, 1);
    else if (image->depth == 3)
        nearest ? warp_nearest_by(to, image, operation, 3)
                : warp_bilinear_by(to, image, operation, 3);
    else
        nearest ? warp_nearest_by(to, image, operation, 4)
                : warp_bilinear_by(to, image, operation, 4);
}

// ----------------------------------------------------------------- Each value for itself

static VECTORIZED void scale_and_shift(uint8_t* restrict values, size_t count, float factor,
                                       float shift) {
    for (size_t k = 0; k < count; ++k) values[k] = truncated((float)values[k] * factor + shift);
}

static VECTORIZED void mask(uint8_t* restrict values, size_t count, uint8_t kept) {
    for (size_t k = 0; k < count; ++k) values[k] &= kept;
}

static VECTORIZED void solarize(uint8_t* restrict values, size_t count, float threshold) {
    // The least value that is inverted; 256: none is.
    int32_t least = 0;
    while (least < 256 && !((float)least >= threshold)) ++least;
    if (least > 255) return;
    const uint8_t first = (uint8_t)least;
    for (size_t k = 0; k < count; ++k)
        values[k] = values[k] >= first ? (uint8_t)~values[k] : values[k];
}

static void look_up(uint8_t* values, const struct image* image, uint8_t tables[4][256]) {
    const size_t depth = (size_t)image->depth, count = bytes_of(image);
    for (size_t k = 0; k < count; k += depth)
        for (size_t c = 0; c < (size_t)image->channels; ++c)
            values[k + c] = tables[c][values[k + c]];
}

// How often each value occurs in each channel. Neighbors, often the same, are counted apart.
static void count_values(const struct image* image, uint32_t counts[4][256]) {
    static const size_t PARTS = 2;
    uint32_t parts[2][4][256];
    memset(parts, 0, sizeof parts);
    const size_t depth = (size_t)image->depth, count = bytes_of(image);
    const size_t channels = (size_t)image->channels;
    for (size_t k = 0, part = 0; k < count; k += depth, part ^= 1)
        for (size_t c = 0; c < channels; ++c) ++parts[part][c][image->pixels[k + c]];
    memset(counts, 0, sizeof parts[0]);
    for (size_t part = 0; part < PARTS; ++part)
        for (size_t c = 0; c < channels; ++c)
            for (int value = 0; value < 256; ++value) counts[c][value] += parts[part][c][value];
}

static void stretch(uint8_t* values, const struct image* image) {
    uint8_t tables[4][256];
    uint32_t counts[4][256];
    count_values(image, counts);
    for (int32_t c = 0; c < image->channels; ++c) {
        int32_t low = 0, high = 255;
        while (low < 255 && !counts[c][low]) ++low;
        while (high > 0 && !counts[c][high]) --high;
        const float scale = (float)(high - low) * (1.0f / 255.0f);
        for (int32_t value = 0; value < 256; ++value)
            tables[c][value] =
                high > low ? truncated((float)(value - low) / scale) : (uint8_t)value;
    }
    look_up(values, image, tables);
}

static void equalize(uint8_t* values, const struct image* image) {
    uint8_t tables[4][256];
    uint32_t counts[4][256];
    count_values(image, counts);
    for (int32_t c = 0; c < image->channels; ++c) {
        int32_t high = 255;
        while (high > 0 && !counts[c][high]) --high;
        const uint32_t size = (uint32_t)image->width * (uint32_t)image->height;
        const uint32_t step = (size - counts[c][high]) / 255;
        uint32_t below = 0;
        for (int32_t value = 0; value < 256; below += counts[c][value++]) {
            const uint32_t share = step ? (below + step / 2) / step : (uint32_t)value;
            tables[c][value] = share > 255 ? 255 : (uint8_t)share;
        }
    }
    look_up(values, image, tables);
}

// ------------------------------------------------------------------------------------ Colors

INLINE uint32_t word_of(const uint8_t* pixel) {
    uint32_t word;
    memcpy(&word, pixel, sizeof word);
    return word;
}

// Pixels of 3 bytes, some at a time, as words.
#define CHUNK 256

static void to_words(uint8_t* words, const uint8_t* pixels, int32_t count) {
    for (int32_t x = 0; x < count; ++x) {
        memcpy(words + 4 * x, pixels + 3 * x, 3);
        words[4 * x + 3] = 0;
    }
}

// The sum of the grays of at most CHUNK words.
static VECTORIZED int32_t sum_of_words(const uint8_t* words, int32_t count) {
    int32_t sum = 0;
    for (int32_t x = 0; x < count; ++x) {
        const uint32_t word = word_of(words + 4 * (ptrdiff_t)x);
        sum += gray_of(word & 255, word >> 8 & 255, word >> 16 & 255);
    }
    return sum;
}

static float mean_gray(const struct image* image) {
    const uint8_t* pixels = image->pixels;
    const int64_t size = (int64_t)image->width * image->height;
    int64_t sum = 0;
    uint8_t words[4 * CHUNK];
    for (int64_t left = size; left > 0; left -= CHUNK, pixels += (ptrdiff_t)CHUNK * image->depth) {
        const int32_t count = left < CHUNK ? (int32_t)left : CHUNK;
        if (image->depth == 1) {
            for (int32_t x = 0; x < count; ++x) sum += pixels[x];
        } else if (image->depth == 4) {
            sum += sum_of_words(pixels, count);
        } else {
            to_words(words, pixels, count);
            sum += sum_of_words(words, count);
        }
    }
    return (float)((double)sum / (double)size);
}

INLINE uint32_t saturated(uint32_t word, float factor, float rest) {
    const int32_t red = word & 255, green = word >> 8 & 255, blue = word >> 16 & 255;
    const float gray = rest * (float)gray_of(red, green, blue);
    const uint32_t r = (uint32_t)(int32_t)clip((float)red * factor + gray, 255.0f);
    const uint32_t g = (uint32_t)(int32_t)clip((float)green * factor + gray, 255.0f);
    const uint32_t b = (uint32_t)(int32_t)clip((float)blue * factor + gray, 255.0f);
    return r | g << 8 | b << 16;
}

// For each sixth of a turn, two bits: which of high, p, q and t a channel is.
enum { RED_OF = 0x358, GREEN_OF = 0x583, BLUE_OF = 0x835 };

INLINE uint32_t channel(int32_t kinds, int32_t sector, float high, float p, float q, float t) {
    const int32_t kind = kinds >> 2 * sector & 3;
    const float first = kind == 0 ? high : p, last = kind == 2 ? q : t;
    return (uint32_t)(int32_t)((kind < 2 ? first : last) * 255.999f);
}

INLINE uint32_t turned(uint32_t word, float turn) {
    const float unit = 1.0f / 255.0f;
    const float red = (float)(int32_t)(word & 255) * unit;
    const float green = (float)(int32_t)(word >> 8 & 255) * unit;
    const float blue = (float)(int32_t)(word >> 16 & 255) * unit;
    const float more = red > green ? red : green, less = red > green ? green : red;
    const float high = more > blue ? more : blue, low = less > blue ? blue : less;
    const float chroma = high - low;
    const float saturation = chroma / (chroma > 0.0f ? high : 1.0f);
    const float divisor = chroma > 0.0f ? chroma : 1.0f;
    const float rc = (high - red) / divisor, gc = (high - green) / divisor;
    const float bc = (high - blue) / divisor;
    const float of_green = high == green ? 2.0f : 4.0f, offset = high == red ? 0.0f : of_green;
    const float more_green = high == green ? rc : gc, plus = high == red ? bc : more_green;
    const float less_green = high == green ? bc : rc, minus = high == red ? gc : less_green;
    const float around = (plus + offset - minus) * (1.0f / 6.0f) + 1.0f;
    const float hue = around - (around >= 1.0f ? 1.0f : 0.0f) + turn;
    const float down = hue >= 1.0f ? -1.0f : 0.0f;
    const float sixths = (hue + (hue < 0.0f ? 1.0f : down)) * 6.0f;
    const int32_t whole = (int32_t)sixths, sector = whole >= 6 ? whole - 6 : whole;
    const float part = saturation * (sixths - (float)whole), gray = 1.0f - saturation;
    const float p = clip(gray * high, 1.0f), q = clip((1.0f - part) * high, 1.0f);
    const float t = clip((part + gray) * high, 1.0f);
    const uint32_t r = channel(RED_OF, sector, high, p, q, t);
    const uint32_t g = channel(GREEN_OF, sector, high, p, q, t);
    const uint32_t b = channel(BLUE_OF, sector, high, p, q, t);
    return r | g << 8 | b << 16;
}

static VECTORIZED void saturate_words(uint8_t* pixels, int32_t width, float factor, float rest) {
    for (int32_t x = 0; x < width; ++x) {
        const uint32_t word = saturated(word_of(pixels + 4 * (ptrdiff_t)x), factor, rest);
        memcpy(pixels + 4 * (ptrdiff_t)x, &word, sizeof word);
    }
}

static VECTORIZED void turn_words(uint8_t* pixels, int32_t width, float turn) {
    for (int32_t x = 0; x < width; ++x) {
        const uint32_t word = turned(word_of(pixels + 4 * (ptrdiff_t)x), turn);
        memcpy(pixels + 4 * (ptrdiff_t)x, &word, sizeof word);
    }
}

static void change_words(uint8_t* words, int32_t count, const struct gpuio_operation* operation) {
    const float factor = (float)operation->values[0], rest = (float)operation->values[1];
    if (operation->code == SATURATION)
        saturate_words(words, count, factor, rest);
    else
        turn_words(words, count, factor);
}

static void change_colors(uint8_t* pixels, const struct image* image,
                          const struct gpuio_operation* operation) {
    int64_t left = (int64_t)image->width * image->height;
    uint8_t words[4 * CHUNK];
    for (; left > 0; left -= CHUNK, pixels += (ptrdiff_t)CHUNK * image->depth) {
        const int32_t count = left < CHUNK ? (int32_t)left : CHUNK;
        if (image->depth == 4) {
            change_words(pixels, count, operation);
            continue;
        }
        to_words(words, pixels, count);
        change_words(words, count, operation);
        for (int32_t x = 0; x < count; ++x) memcpy(pixels + 3 * x, words + 4 * x, 3);
    }
}

// --------------------------------------------------------------------------------- Sharpness

static VECTORIZED void sharpen_row(uint8_t* restrict to, const uint8_t* above, const uint8_t* at,
                                   const uint8_t* below, size_t count, size_t depth, float rest) {
    for (size_t k = depth; k < count - depth; ++k) {
        const int32_t middle = at[k];
        const int32_t total = above[k - depth] + above[k] + above[k + depth] + at[k - depth] +
                              5 * middle + at[k + depth] + below[k - depth] + below[k] +
                              below[k + depth];
        // 13 has no half.
        const int32_t difference = (total + 6) / 13 - middle;
        to[k] = truncated((float)middle + rest * (float)difference);
    }
}

static void sharpen(uint8_t* to, const struct image* image, float rest) {
    const size_t depth = (size_t)image->depth, row = (size_t)image->width * depth;
    const uint8_t* from = image->pixels;
    memcpy(to, from, bytes_of(image));
    if (image->width <= 2) return;
    for (int32_t y = 1; y < image->height - 1; ++y) {
        const size_t at = (size_t)y * row;
        sharpen_row(to + at, from + at - row, from + at, from + at + row, row, depth, rest);
    }
}

static void erase(uint8_t* pixels, const struct image* image,
                  const struct gpuio_operation* operation) {
    const int32_t limits[4] = {image->width, image->height, image->width, image->height};
    int32_t box[4];
    for (int k = 0; k < 4; ++k) {
        const double edge = operation->values[k];
        box[k] = !(edge > 0) ? 0 : edge < limits[k] ? (int32_t)edge : limits[k];
    }
    const size_t depth = (size_t)image->depth;
    for (int32_t y = box[1]; y < box[3]; ++y)
        for (int32_t x = box[0]; x < box[2]; ++x)
            memcpy(pixels + ((size_t)y * (size_t)image->width + (size_t)x) * depth, operation->fill,
                   depth);
}

int32_t gpuio_native_operate(const struct gpuio_operation* operations, int32_t count,
                             uint8_t* pixels, uint8_t* other, int32_t width, int32_t height,
                             int32_t depth, int32_t channels) {
    int32_t swapped = 0;
    const size_t size = (size_t)width * (size_t)height * (size_t)depth;
    for (int32_t k = 0; k < count; ++k) {
        const struct gpuio_operation* operation = &operations[k];
        const struct image image = {pixels, width, height, depth, channels};
        const float first = (float)operation->values[0], rest = (float)operation->values[1];
        int moved = 0;
        switch (operation->code) {
            case WARP_NEAREST:
            case WARP_BILINEAR:
                warp(other, &image, operation);
                moved = 1;
                break;
            case SHARPNESS:
                sharpen(other, &image, rest);
                moved = 1;
                break;
            case BRIGHTNESS:
                scale_and_shift(pixels, size, first, 0.0f);
                break;
            case CONTRAST:
                scale_and_shift(pixels, size, first, rest * mean_gray(&image));
                break;
            case SATURATION:
            case HUE:
                if (channels == 3) change_colors(pixels, &image, operation);
                break;
            case POSTERIZE:
                mask(pixels, size, (uint8_t)operation->values[0]);
                break;
            case SOLARIZE:
                solarize(pixels, size, first);
                break;
            case INVERT:
                solarize(pixels, size, 0.0f);
                break;
            case AUTOCONTRAST:
                stretch(pixels, &image);
                break;
            case EQUALIZE:
                equalize(pixels, &image);
                break;
            case ERASE:
                erase(pixels, &image, operation);
                break;
            default:
                break;
        }
        if (moved) {
            uint8_t* result = other;
            other = pixels;
            pixels = result;
            swapped = !swapped;
        }
    }
    return swapped;
}
