// finish: jitter, borders and jitter again of uint8 samples, in one pass; and color matrices that
// depend on a sample's mean.
//
// In     pixels        uint8 (M, H, W, C), dense, C = 1, 3 or 4 in the order R, G, B, A
//        image_matrix  float32 (M, 3, 4), color matrices, only with C = 3      } of the jitter
//        image_hls     HlsShift (M), only with C = 3                           } before the
//        image_gain    float32 (M)                                             } borders
//        borders       Border (K, M), the innermost first
//        matrix, hls, gain   of the jitter after the borders, as above
//        color         float64 (M, 3, 7), only with C = 3: what `means_matrix` is made from
//        sums          uint64 (M, 4), zeros: scratch memory, used with `color`
//        Each may be null: that step is left out.
// Out    out           uint8 (M, H, W, C), dense; null: nothing is written
//        means_matrix  float32 (M, 3, 4), with `color`: the matrix into which the means of the
//                      results' channels turn `color`
//
// A jitter does to each pixel, in this order:
//
//        v[c] = rint(clip(((m[c][0]*r + m[c][1]*g) + m[c][2]*b) + m[c][3]))
//        hue, lightness and saturation: converted to integers of 0..180 and 0..255, shifted, and
//            converted back, in the samples whose HlsShift has a mode other than UNSHIFTED
//        v[c] = rint(clip(v[c] * gain))
//
// A border replaces the pixels outside of x0 <= x < x1, y0 <= y < y1 by its fill. Then
//
//        mean[c] = (sum of v[c]) / (H*W)
//        means_matrix[c] = color[c][0..2],
//            ((color[c][3]*mean[0] + color[c][4]*mean[1]) + color[c][5]*mean[2]) + color[c][6]
//
// in float64, then rounded to float32. Everything else is float32, each operation rounded to
// nearest and none fused; sums are integers, so that no result depends on the order of threads.
//
// Threads  One thread computes groups of 4 pixels, which begin at addresses that are multiples of 4,
//          so that it reads and writes words; samples of odd sizes begin and end within a group.
//          blockIdx.y strides over samples, x over a sample's groups: any grid is valid, with
//          blockDim.x a multiple of 32 up to 256. At most 64 registers, so that 1,024 threads are
//          resident on a multiprocessor. No shared memory, no barriers. The last warp that adds to a
//          sample's sums computes its matrix.
// Memory   C bytes are read and C written for each pixel; a warp's accesses are contiguous. Each
//          thread should take several groups: its sample's parameters are then read once, and its
//          warp adds to the sums once.
// Align    pixels and out to 4 bytes, each other pointer to its element type.
// Bounds   H*W < 2^31; the caller checks shapes. All bytes of out are written, and nothing else.
//          out does not overlap the inputs.
// Twin     finish_pixels and batch_color_matrices in gpuio/execution/color.py.

#include "arithmetic.h"

enum HlsMode { UNSHIFTED, CLIPPED_HUE, WRAPPED_HUE };

// Added to the hue, -180..180 (wrapped: 0..179), and to lightness and saturation.
struct HlsShift {
    int hue, lightness, saturation, mode;
};

struct Border {
    int x0, y0, x1, y1;
    unsigned char fill[4];
};

constexpr int WARP = 32;

// Sum over the lanes of a warp, in its first lane.
__device__ __forceinline__ unsigned long long sum_of_warp(unsigned long long value) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_down_sync(0xffffffffu, value, distance);
    return value;
}

// Hue in steps of two degrees, 30 for a sixth of a turn.
constexpr int HUES = 180;

__device__ __forceinline__ float clip(float value, float lowest, float highest) {
    return fminf(fmaxf(value, lowest), highest);
}

__device__ __forceinline__ int clip(int value, int lowest, int highest) {
    return value < lowest ? lowest : value > highest ? highest : value;
}

// value / 255 for 0 <= value <= 255, and value / 30 for 0 <= value <= 180, rounded to nearest: the
// first product is exact, and the second is what it lacks. A division takes several times as long.
__device__ __forceinline__ float over_255(int value) {
    return add(multiply((float)value, 0x1.01p-8f), multiply((float)value, 0x1.010102p-24f));
}

__device__ __forceinline__ float over_30(int value) {
    return add(multiply((float)value, 0x1.11p-5f), multiply((float)value, 0x1.111112p-17f));
}

struct Hls {
    int hue, lightness, saturation;
};

__device__ __forceinline__ Hls to_hls(const int (&rgb)[3]) {
    const float red = over_255(rgb[0]), green = over_255(rgb[1]), blue = over_255(rgb[2]);
    const float high = fmaxf(red, fmaxf(green, blue)), low = fminf(red, fminf(green, blue));
    const float chroma = subtract(high, low), total = add(high, low);
    // Sixths of a turn.
    float difference, sector;
    if (high == red) {
        difference = subtract(green, blue), sector = 0.0f;
    } else if (high == green) {
        difference = subtract(blue, red), sector = 2.0f;
    } else {
        difference = subtract(red, green), sector = 4.0f;
    }
    float hue = add(divide(difference, chroma > 0.0f ? chroma : 1.0f), sector);
    if (hue < 0.0f) hue = add(hue, 6.0f);
    const float largest = total < 1.0f ? total : subtract(2.0f, total);
    const float saturation = divide(chroma, largest > 0.0f ? largest : 1.0f);
    return {(int)rintf(multiply(hue, 30.0f)), (int)rintf(multiply(total, 127.5f)),
            (int)rintf(multiply(saturation, 255.0f))};
}

__device__ __forceinline__ void from_hls(const Hls& hls, int (&rgb)[3]) {
    const float hue = over_30(hls.hue);
    const float lightness = over_255(hls.lightness);
    const float saturation = over_255(hls.saturation);
    const float high =
        add(lightness, multiply(saturation, fminf(lightness, subtract(1.0f, lightness))));
    const float low = subtract(multiply(2.0f, lightness), high);
    const float chroma = subtract(high, low);
    // Each channel is high over a third of the circle, and low opposite of it.
    const float share[3] = {subtract(fabsf(subtract(hue, 3.0f)), 1.0f),
                            subtract(2.0f, fabsf(subtract(hue, 2.0f))),
                            subtract(2.0f, fabsf(subtract(hue, 4.0f)))};
    for (int c = 0; c < 3; ++c) {
        const float value = add(low, multiply(chroma, clip(share[c], 0.0f, 1.0f)));
        rgb[c] = to_integer(multiply(value, 255.0f), 0.0f, 255.0f);
    }
}

__device__ __forceinline__ void shift_hls(int (&rgb)[3], const HlsShift& shift) {
    Hls hls = to_hls(rgb);
    hls.hue += shift.hue;
    if (shift.mode == CLIPPED_HUE)
        hls.hue = clip(hls.hue, 0, HUES);
    else if (hls.hue >= HUES)
        hls.hue -= HUES;
    hls.lightness = clip(hls.lightness + shift.lightness, 0, 255);
    hls.saturation = clip(hls.saturation + shift.saturation, 0, 255);
    from_hls(hls, rgb);
}

// Consecutive pixels that a thread computes together.
constexpr int GROUP = 4;

// The parameters of one sample's jitter; null: that step is left out.
struct Jitter {
    const float* matrix;
    const HlsShift* hls;
    const float* gain;
};

__device__ __forceinline__ Jitter of_sample(const float* matrix, const HlsShift* hls,
                                            const float* gain, long long sample) {
    return {matrix ? matrix + sample * 12 : nullptr,
            hls && hls[sample].mode != UNSHIFTED ? hls + sample : nullptr,
            gain ? gain + sample : nullptr};
}

template <int CHANNELS>
__device__ __forceinline__ void apply(const Jitter& jitter, int (&pixel)[GROUP][CHANNELS]) {
    if constexpr (CHANNELS == 3) {
        if (jitter.matrix)
            for (int i = 0; i < GROUP; ++i) {
                const float r = (float)pixel[i][0], g = (float)pixel[i][1], b = (float)pixel[i][2];
                for (int c = 0; c < CHANNELS; ++c)
                    pixel[i][c] = (int)mix(jitter.matrix + 4 * c, r, g, b, NEAREST_INTEGER);
            }
        if (jitter.hls)
            for (int i = 0; i < GROUP; ++i) shift_hls(pixel[i], *jitter.hls);
    }
    if (jitter.gain)
        for (int i = 0; i < GROUP; ++i)
            for (int c = 0; c < CHANNELS; ++c)
                pixel[i][c] = to_integer(multiply((float)pixel[i][c], *jitter.gain), 0.0f, 255.0f);
}

// Read or write the pixels `first` to before `last` of a group that begins at an address.
template <int CHANNELS>
__device__ __forceinline__ void load(const unsigned char* from, int first, int last,
                                     int (&pixel)[GROUP][CHANNELS]) {
    if (first == 0 && last == GROUP) {
        unsigned word[CHANNELS];
        for (int w = 0; w < CHANNELS; ++w) word[w] = ((const unsigned*)from)[w];
        for (int byte = 0; byte < GROUP * CHANNELS; ++byte)
            pixel[byte / CHANNELS][byte % CHANNELS] = word[byte / 4] >> byte % 4 * 8 & 255;
    } else {
        for (int i = 0; i < GROUP; ++i)
            for (int c = 0; c < CHANNELS; ++c)
                pixel[i][c] = first <= i && i < last ? from[i * CHANNELS + c] : 0;
    }
}

template <int CHANNELS>
__device__ __forceinline__ void store(unsigned char* to, int first, int last,
                                      const int (&pixel)[GROUP][CHANNELS]) {
    if (first == 0 && last == GROUP) {
        unsigned word[CHANNELS] = {};
        for (int byte = 0; byte < GROUP * CHANNELS; ++byte)
            word[byte / 4] |= (unsigned)pixel[byte / CHANNELS][byte % CHANNELS] << byte % 4 * 8;
        for (int w = 0; w < CHANNELS; ++w) ((unsigned*)to)[w] = word[w];
    } else {
        for (int i = 0; i < GROUP; ++i)
            for (int c = 0; c < CHANNELS; ++c)
                if (first <= i && i < last) to[i * CHANNELS + c] = (unsigned char)pixel[i][c];
    }
}

// Paint one sample's borders, which are `stride` apart; `position` is that of pixel `first`.
template <int CHANNELS>
__device__ __forceinline__ void paint(const Border* border, int border_count, long long stride,
                                      int position, int width, int first,
                                      int (&pixel)[GROUP][CHANNELS]) {
    const int y = position / width, x = position - y * width;
    for (int k = 0; k < border_count; ++k, border += stride) {
        int row = y, column = x;
        for (int i = 0; i < GROUP; ++i) {
            if (i < first) continue;
            if (column < border->x0 || column >= border->x1 || row < border->y0 ||
                row >= border->y1)
                for (int c = 0; c < CHANNELS; ++c) pixel[i][c] = border->fill[c];
            if (++column == width) column = 0, ++row;
        }
    }
}

// Add a thread's sums to those of its sample. The last of `warps` turns the color into a matrix.
__device__ __forceinline__ void reduce(const unsigned long long (&partial)[3],
                                       unsigned long long* sums, unsigned long long warps,
                                       const double* color, double size, float* matrix) {
    for (int c = 0; c < 3; ++c) {
        const unsigned long long sum = sum_of_warp(partial[c]);
        if (threadIdx.x % WARP == 0) atomicAdd(&sums[c], sum);
    }
    if (threadIdx.x % WARP != 0) return;
    __threadfence();
    if (atomicAdd(&sums[3], 1ull) + 1 != warps) return;
    __threadfence();
    double mean[3];
    for (int c = 0; c < 3; ++c) mean[c] = divide((double)atomicAdd(&sums[c], 0ull), size);
    for (int c = 0; c < 3; ++c, color += 7, matrix += 4) {
        for (int column = 0; column < 3; ++column) matrix[column] = to_float(color[column]);
        const double means = add(add(multiply(color[3], mean[0]), multiply(color[4], mean[1])),
                                 multiply(color[5], mean[2]));
        matrix[3] = to_float(add(means, color[6]));
    }
}

template <int CHANNELS>
__device__ __forceinline__ void finish_samples(
    unsigned char* out, const unsigned char* pixels, const float* image_matrix,
    const HlsShift* image_hls, const float* image_gain, const Border* borders, const float* matrix,
    const HlsShift* hls, const float* gain, const double* color, unsigned long long* sums,
    float* means_matrix, long long count, int height, int width, int border_count) {
    const long long size = (long long)height * width;
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long threads = (long long)gridDim.x * blockDim.x;

    for (long long n = blockIdx.y; n < count; n += gridDim.y) {
        const Jitter before = of_sample(image_matrix, image_hls, image_gain, n);
        const Jitter after = of_sample(matrix, hls, gain, n);
        const long long begin = n * size * CHANNELS;
        // The first group begins so many pixels before the sample.
        const int lead = (int)(n * size % GROUP);
        unsigned long long partial[3] = {};

        for (long long group = thread; group * GROUP < size + lead; group += threads) {
            const long long start = group * GROUP - lead;
            const int first = start < 0 ? (int)-start : 0;
            const int last = size - start < GROUP ? (int)(size - start) : GROUP;
            int pixel[GROUP][CHANNELS];
            load<CHANNELS>(pixels + begin + start * CHANNELS, first, last, pixel);
            apply<CHANNELS>(before, pixel);
            if (border_count)
                paint<CHANNELS>(borders + n, border_count, count, (int)(start + first), width,
                                first, pixel);
            apply<CHANNELS>(after, pixel);
            if (out) store<CHANNELS>(out + begin + start * CHANNELS, first, last, pixel);
            if constexpr (CHANNELS == 3)
                for (int c = 0; c < CHANNELS && color; ++c) {
                    int sum = 0;
                    for (int i = 0; i < GROUP; ++i)
                        if (first <= i && i < last) sum += pixel[i][c];
                    partial[c] += sum;
                }
        }
        if constexpr (CHANNELS == 3)
            if (color)
                reduce(partial, sums + n * 4, threads / WARP, color + n * 21, (double)size,
                       means_matrix + n * 12);
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    finish(unsigned char* out, const unsigned char* pixels, const float* image_matrix,
           const HlsShift* image_hls, const float* image_gain, const Border* borders,
           const float* matrix, const HlsShift* hls, const float* gain, const double* color,
           unsigned long long* sums, float* means_matrix, long long count, int height, int width,
           int channels, int border_count) {
#define FINISH(CHANNELS)                                                                        \
    finish_samples<CHANNELS>(out, pixels, image_matrix, image_hls, image_gain, borders, matrix, \
                             hls, gain, color, sums, means_matrix, count, height, width,        \
                             border_count)
    if (channels == 1)
        FINISH(1);
    else if (channels == 3)
        FINISH(3);
    else if (channels == 4)
        FINISH(4);
}
