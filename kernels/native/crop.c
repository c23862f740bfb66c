// The geometry of crops: the arithmetic of gpuio/planning/crop_geometry.py.

#include <math.h>
#include <string.h>

#include "internal.h"

// What draws are for; philox.py there.
enum { MIRROR = 1, CROP = 2, RESIZED_CROP = 3, INTERPOLATION = 4, CROP_SIZE = 7 };
// Attempts of the random resized crop, and numbers that each draws; CROP_TRIES there.
enum { TRIES = 10, DRAWS = 5 };
// Interpolations; plan.py there.
enum { CUBIC = 2, AREA = 3, AUTOMATIC = 9, ANY = 10 };

#define EPSILON 1e-9
#define MOST_LENGTH 1048576  // pixels of a side

// A sample's random words of one purpose, of which a block is computed when it is asked for.
struct draws {
    uint64_t seed;
    int64_t epoch, record;
    uint32_t purpose, block;
    uint64_t words[4];
};

static struct draws draws_for(const struct draws* sample, uint32_t purpose) {
    struct draws draws = *sample;
    draws.purpose = purpose << 16;
    draws.block = UINT32_MAX;
    return draws;
}

static uint64_t word(struct draws* draws, uint32_t number) {
    if (draws->block != number / 4) {
        draws->block = number / 4;
        philox(draws->seed, draws->epoch, draws->record, draws->purpose + draws->block,
               draws->words);
    }
    return draws->words[number % 4];
}

// In [0, 1).
static double uniform(struct draws* draws, uint32_t number) {
    return (double)word(draws, number) * 0x1p-32;
}

static double between(double unit, const double bounds[2]) {
    return bounds[0] + unit * (bounds[1] - bounds[0]);
}

// Uniformly distributed integers from 0 to `most`.
static int64_t offset(double unit, int64_t most) {
    return (int64_t)floor(unit * (double)(most + 1));
}

static int64_t clip(int64_t value, int64_t least, int64_t most) {
    const int64_t raised = value > least ? value : least;
    return raised < most ? raised : most;
}

static double pixels_of(const int64_t size[2]) {
    return (double)size[0] * (double)size[1];
}

// The size after an image smaller than the crop has been enlarged to contain it.
static void enlarge(const struct gpuio_crop* crop, int64_t size[2]) {
    if (size[1] < crop->height) {
        const float factor = (float)crop->height / (float)size[1];
        size[0] = (int64_t)(factor * (float)size[0]);
        size[1] = crop->height;
    }
    if (size[0] < crop->width) {
        const float factor = (float)crop->width / (float)size[0];
        const int64_t grown = (int64_t)(factor * (float)size[1]);
        size[0] = crop->width;
        size[1] = grown > crop->height ? grown : crop->height;
    }
}

// The first attempt of a random resized crop that fits into an image; whether one does.
static int resized_crop(const struct gpuio_crop* crop, const int64_t size[2],
                        const struct draws* sample, int64_t corner[2], int64_t extent[2]) {
    struct draws draws = draws_for(sample, RESIZED_CROP);
    const double whole = pixels_of(size);
    for (uint32_t first = 0; first < TRIES * DRAWS; first += DRAWS) {
        const double area = whole * between(uniform(&draws, first), crop->area);
        const double ratio = between(uniform(&draws, first + 1), crop->ratio);
        const int upright = uniform(&draws, first + 2) < 0.5;
        extent[upright] = (int64_t)floor(sqrt(area * ratio) + 0.5);
        extent[!upright] = (int64_t)floor(sqrt(area / ratio) + 0.5);
        if (extent[0] < 1 || extent[0] > size[0] || extent[1] < 1 || extent[1] > size[1]) continue;
        for (uint32_t i = 0; i < 2; ++i)
            corner[i] = offset(uniform(&draws, first + 3 + i), size[i] - extent[i]);
        return 1;
    }
    return 0;
}

// A crop of an image of some size, and the size to which that is enlarged, in whose pixels it is
// measured.
static void choose(const struct gpuio_crop* crop, const int64_t size[2], const struct draws* sample,
                   int64_t corner[2], int64_t extent[2], int64_t full[2]) {
    memcpy(full, size, 2 * sizeof *full);
    if (crop->resized && resized_crop(crop, size, sample, corner, extent)) return;
    extent[0] = crop->width, extent[1] = crop->height;
    if (crop->most_size) {
        struct draws draws = draws_for(sample, CROP_SIZE);
        extent[0] =
            crop->least_size + offset(uniform(&draws, 0), crop->most_size - crop->least_size);
        extent[1] = extent[0];
    } else {
        enlarge(crop, full);
    }
    struct draws draws = draws_for(sample, CROP);
    for (uint32_t i = 0; i < 2; ++i) {
        const int64_t most = full[i] - extent[i];
        corner[i] = crop->anywhere ? offset(uniform(&draws, i), most) : (most - (most & 1)) / 2;
    }
}

static int64_t method_for(const struct gpuio_crop* crop, const int64_t from[2], const int64_t to[2],
                          const struct draws* sample) {
    if (crop->method == ANY) {
        struct draws draws = draws_for(sample, INTERPOLATION);
        return (int64_t)(word(&draws, 0) % 5);
    }
    if (crop->method != AUTOMATIC) return crop->method;
    if (to[0] > from[0] && to[1] > from[1]) return CUBIC;
    return to[0] < from[0] && to[1] < from[1] ? AREA : GPUIO_LINEAR;
}

static void plan_crop(const struct gpuio_crop* crop, const struct draws* sample, int64_t row,
                      const int64_t size[2], const struct gpuio_crops* to) {
    const int64_t output[2] = {crop->width, crop->height};
    const int64_t shorter = size[0] < size[1] ? size[0] : size[1];
    int64_t scaled[2], padded[2], full[2], corner[2], extent[2];
    for (int i = 0; i < 2; ++i) {
        scaled[i] = crop->resize ? crop->resize * size[i] / shorter : size[i];
        padded[i] = scaled[i] + 2 * (int64_t)crop->pad;
    }
    choose(crop, padded, sample, corner, extent, full);
    const int cut = extent[0] != output[0] || extent[1] != output[1];
    for (int i = 0; i < 2; ++i) {
        // From the enlarged image to the one without border, and from this to the source.
        const double to_padded = (double)padded[i] / (double)full[i];
        const double begin = (double)corner[i] * to_padded - crop->pad;
        const double length = (double)extent[i] * to_padded;
        const double to_source = (double)size[i] / (double)scaled[i];
        const double at = crop->resize ? begin * to_source : begin;
        const double shown = crop->resize ? length * to_source : length;
        to->window[4 * row + i] = at;
        to->window[4 * row + i + 2] = shown;
        // Images that are cut before they are scaled do not blend in pixels outside.
        int64_t first = 0, end = size[i];
        if (cut) {
            first = clip((int64_t)floor(at + EPSILON), 0, size[i] - 1);
            end = clip((int64_t)ceil(at + shown - EPSILON), first + 1, size[i]);
        }
        to->bounds[4 * row + i] = first;
        to->bounds[4 * row + i + 2] = end;
        to->padded[2 * row + i] = padded[i];
        if (to->inside == NULL) continue;
        const double step = (double)output[i] / length, edges[2] = {0, (double)scaled[i]};
        for (int k = 0; k < 2; ++k) {
            const double inside = ceil((edges[k] - begin) * step - 0.5 - EPSILON);
            const double raised = inside > 0 ? inside : 0, most = (double)output[i];
            to->inside[4 * row + 2 * k + i] = (int64_t)(raised < most ? raised : most);
        }
    }
    const int64_t* from = crop->resize ? size : cut ? extent : padded;
    to->method[row] = method_for(crop, from, crop->resize ? scaled : output, sample);
    struct draws draws = draws_for(sample, MIRROR);
    to->flip[row] = crop->mirror || (crop->rand_mirror && uniform(&draws, 0) < 0.5);
    const int64_t* largest = pixels_of(full) > pixels_of(scaled) ? full : scaled;
    for (int i = 0; i < 2; ++i) to->largest[2 * row + i] = (double)largest[i];
}

int32_t gpuio_native_crops(const struct gpuio_crop* crop, uint64_t seed, const int64_t* sizes,
                           const int64_t* epoch, const int64_t* record, int64_t count,
                           const struct gpuio_crops* crops) {
    for (int64_t row = 0; row < count; ++row) {
        const int64_t* size = sizes + 2 * row;
        if (size[0] < 1 || size[0] > MOST_LENGTH || size[1] < 1 || size[1] > MOST_LENGTH) return 0;
        const struct draws sample = {.seed = seed, .epoch = epoch[row], .record = record[row]};
        plan_crop(crop, &sample, row, size, crops);
    }
    return 1;
}
