// Resampling in OpenCV's arithmetic: cv2.resize of uint8 with INTER_LINEAR and INTER_NEAREST.

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "internal.h"

#define ONE 2048.0f  // the weights' unit

// The largest integer that is not larger. (Without libm, to which calls would go.)
static int32_t floor_of(double value) {
    const int32_t toward_zero = (int32_t)value;
    return toward_zero - (value < toward_zero);
}

// Rounded to nearest even, for 0 <= value < 2^22: of floats from 2^23 to 2^24 all are integers.
static int16_t round_of(float value) {
    const float integers = 12582912.0f;
    return (int16_t)((value + integers) - integers);
}

static int32_t clamp(int32_t value, int32_t least, int32_t most) {
    return value < least ? least : value > most ? most : value;
}

void plan_axis(struct axis* axis, int method, int across, int32_t count, int32_t corner,
               double scale, double offset, int32_t size) {
    axis->least = size;
    axis->end = 0;
    for (int32_t i = 0; i < count; ++i) {
        int32_t first, second;
        if (method == GPUIO_NEAREST) {
            first = second = clamp(floor_of((corner + i) * scale + offset), 0, size - 1);
        } else {
            float position = (float)((corner + i + 0.5) * scale - 0.5 + offset);
            first = floor_of(position);
            position -= (float)first;
            if (across && (first < 0 || first >= size - 1)) position = 0;
            second = clamp(first + 1, 0, size - 1);
            first = clamp(first, 0, size - 1);
            axis->weight[2 * i] = round_of((1.0f - position) * ONE);
            axis->weight[2 * i + 1] = round_of(position * ONE);
        }
        axis->first[i] = first;
        axis->second[i] = second;
        if (first < axis->least) axis->least = first;
        if (second >= axis->end) axis->end = second + 1;
    }
}

void reverse_axis(struct axis* axis, int32_t count) {
    for (int32_t i = 0, j = count - 1; i < j; ++i, --j) {
        const int32_t first = axis->first[i];
        axis->first[i] = axis->first[j];
        axis->first[j] = first;
        uint32_t weights, others;
        memcpy(&weights, axis->weight + 2 * i, 4);
        memcpy(&others, axis->weight + 2 * j, 4);
        memcpy(axis->weight + 2 * i, &others, 4);
        memcpy(axis->weight + 2 * j, &weights, 4);
    }
}

static void blend_gray(int16_t* to, const uint8_t* from, const struct axis* axis, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        const uint8_t* pixel = from + axis->first[i];
        to[i] =
            (int16_t)((pixel[0] * axis->weight[2 * i] + pixel[1] * axis->weight[2 * i + 1]) >> 4);
    }
}

#ifdef __x86_64__

// One pixel and the next, 4 bytes each, times two weights.
static inline __m128i blend_pixel(const uint8_t* from, __m128i weights) {
    const __m128i both = _mm_loadl_epi64((const __m128i*)from);
    const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_si128(both, 4));
    const __m128i sums = _mm_madd_epi16(_mm_unpacklo_epi8(pairs, _mm_setzero_si128()), weights);
    return _mm_srai_epi32(sums, 4);
}

// Pixels from `i` on; returns how many of all are done.
static int32_t blend_pairs(int16_t* to, const uint8_t* from, const struct axis* axis, int32_t i,
                           int32_t count) {
    for (; i + 2 <= count; i += 2) {
        const __m128i weights = _mm_loadl_epi64((const __m128i*)(axis->weight + 2 * i));
        const __m128i first = blend_pixel(from + 4 * (ptrdiff_t)axis->first[i],
                                          _mm_shuffle_epi32(weights, _MM_SHUFFLE(0, 0, 0, 0)));
        const __m128i second = blend_pixel(from + 4 * (ptrdiff_t)axis->first[i + 1],
                                           _mm_shuffle_epi32(weights, _MM_SHUFFLE(1, 1, 1, 1)));
        _mm_storeu_si128((__m128i*)(to + 4 * i), _mm_packs_epi32(first, second));
    }
    return i;
}

// The same for two pixels at once.
__attribute__((target("avx2"))) static inline __m256i blend_two(const uint8_t* from,
                                                                const int32_t* first,
                                                                __m256i weights) {
    const __m128i pairs = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    const __m128i near = _mm_loadl_epi64((const __m128i*)(from + 4 * (ptrdiff_t)first[0]));
    const __m128i far = _mm_loadl_epi64((const __m128i*)(from + 4 * (ptrdiff_t)first[1]));
    const __m128i both = _mm_shuffle_epi8(_mm_unpacklo_epi64(near, far), pairs);
    return _mm256_srai_epi32(_mm256_madd_epi16(_mm256_cvtepu8_epi16(both), weights), 4);
}

__attribute__((target("avx2"))) static int32_t blend_fours(int16_t* to, const uint8_t* from,
                                                           const struct axis* axis, int32_t count) {
    const __m256i low = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m256i high = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const __m256i weights =
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)(axis->weight + 2 * i)));
        const __m256i first =
            blend_two(from, axis->first + i, _mm256_permutevar8x32_epi32(weights, low));
        const __m256i second =
            blend_two(from, axis->first + i + 2, _mm256_permutevar8x32_epi32(weights, high));
        const __m256i packed = _mm256_packs_epi32(first, second);
        _mm256_storeu_si256((__m256i*)(to + 4 * i),
                            _mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0)));
    }
    return i;
}

// As many of the first pixels as fit into vectors; returns their number.
static int32_t blend_color(int16_t* to, const uint8_t* from, const struct axis* axis,
                           int32_t count) {
    const int32_t i = __builtin_cpu_supports("avx2") ? blend_fours(to, from, axis, count) : 0;
    return blend_pairs(to, from, axis, i, count);
}

#else

static int32_t blend_color(int16_t* to, const uint8_t* from, const struct axis* axis,
                           int32_t count) {
    (void)to, (void)from, (void)axis, (void)count;
    return 0;
}

#endif

void blend_across(int16_t* to, const uint8_t* from, const struct axis* axis, int32_t count,
                  int channels) {
    if (channels == 1) {
        blend_gray(to, from, axis, count);
        return;
    }
    for (int32_t i = blend_color(to, from, axis, count); i < count; ++i) {
        const uint8_t* pixel = from + 4 * (ptrdiff_t)axis->first[i];
        for (int c = 0; c < 4; ++c)
            to[4 * i + c] = (int16_t)((pixel[c] * axis->weight[2 * i] +
                                       pixel[4 + c] * axis->weight[2 * i + 1]) >>
                                      4);
    }
}

static VECTORIZED void blend_rows(uint8_t* restrict to, const int16_t* first, const int16_t* second,
                                  int16_t a, int16_t b, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        const int16_t above = (int16_t)((first[i] * a) >> 16);
        const int16_t below = (int16_t)((second[i] * b) >> 16);
        to[i] = (uint8_t)((int16_t)(above + below + 2) >> 2);
    }
}

void blend_down(uint8_t* to, const int16_t* first, const int16_t* second, const int16_t* weight,
                int32_t count) {
    blend_rows(to, first, second, weight[0], weight[1], count);
}

void pick_nearest(uint8_t* to, const uint8_t* from, const struct axis* axis, int32_t count,
                  int channels) {
    if (channels == 1) {
        for (int32_t i = 0; i < count; ++i) to[i] = from[axis->first[i]];
    } else {
        for (int32_t i = 0; i < count; ++i)
            memcpy(to + 4 * (ptrdiff_t)i, from + 4 * (ptrdiff_t)axis->first[i], 4);
    }
}
