// Which samples of a batch this module makes: the arithmetic of gpuio/execution/resample.py.

#include <string.h>

#include "internal.h"

// A window is on the grid of whole pixels if it misses it by no more than this; GRID there.
#define GRID 1e-6
// Pixels of the largest image that is scaled as a whole; LARGEST there.
#define LARGEST 67108864.0

// Of a code, see gpuio/decoding/header_codes.py.
#define CODE_ORIENTATION(code) ((int32_t)((code) >> 32 & 15))
#define CODE_CHANNELS(code) ((int32_t)((code) >> 40 & 255))
#define CODE_PARTS(code) ((int32_t)((code) >> 36 & 15))
#define CODE_FORMAT(code) ((int32_t)((code) >> 48 & 255))
enum { JPEG, PNG };

// Rounded to nearest even, for absolute values below 2^51: of doubles from 2^52 to 2^53 all are
// integers. Others are returned as they are.
static double round_of(double value) {
    const double integers = 6755399441055744.0;
    return value > -1e15 && value < 1e15 ? (value + integers) - integers : value;
}

// Whether the decoders make the pixels of such an image as the oracle does.
static int is_decodable(const struct gpuio_plan* plan, uint64_t code) {
    const int32_t channels = CODE_CHANNELS(code);
    if (code == 0) return 0;
    if (CODE_FORMAT(code) == JPEG) return channels == 1 || channels == 3;
    // Not animations; and colors become gray as OpenCV sees it.
    return CODE_FORMAT(code) == PNG && gpuio_native_png()[0] && !CODE_PARTS(code) &&
           (plan->channels == 3 || channels <= 2);
}

static int select_sample(const struct gpuio_plan* plan, int64_t row, struct gpuio_sample* sample) {
    const uint64_t code = plan->codes[row];
    const int32_t orientation = CODE_ORIENTATION(code);
    if (!is_decodable(plan, code)) return 0;
    const int32_t sizes[2] = {plan->width, plan->height};
    const double* window = plan->window + 4 * row;
    const int64_t* bounds = plan->bounds + 4 * row;
    double largest = 1.0, off = 0.0, scaled[2], corner[2], larger = 8.0;
    int same = 1;
    for (int i = 0; i < 2; ++i) {
        int64_t begin = 0, end = sizes[i];
        if (plan->inside) {
            const int64_t* inside = plan->inside + 4 * row + i;
            if (inside[0] > begin) begin = inside[0];
            if (inside[2] < end) end = inside[2];
        }
        if (begin >= end) return 0;
        const double step = window[i + 2] / sizes[i];
        const double at = window[i] + (double)begin * step - (double)bounds[i];
        const double length = (double)(end - begin) * step;
        const double per_pixel = (double)(end - begin) / length;
        const double region = (double)(bounds[i + 2] - bounds[i]);
        scaled[i] = round_of(region * per_pixel);
        corner[i] = round_of(at * per_pixel);
        const double missed[2] = {region * per_pixel - scaled[i], at * per_pixel - corner[i]};
        for (int k = 0; k < 2; ++k) {
            const double distance = missed[k] < 0 ? -missed[k] : missed[k];
            if (!(distance <= off)) off = distance;
        }
        if (scaled[i] > largest) largest = scaled[i];
        if (corner[i] > largest) largest = corner[i];
        if (!(corner[i] >= 0 && corner[i] <= scaled[i] - (double)(end - begin))) return 0;
        if (plan->antialias && length > (double)(end - begin)) return 0;
        same &= scaled[i] == region;
        if (step < larger) larger = step;
        sample->inside[i] = (int32_t)begin;
        sample->inside[i + 2] = (int32_t)end;
        sample->bounds[i] = (int32_t)bounds[i];
        sample->bounds[i + 2] = (int32_t)bounds[i + 2];
    }
    const int64_t method = plan->method[row];
    if (!(off < GRID * largest) || !(scaled[0] * scaled[1] <= LARGEST) ||
        !(same || method == GPUIO_LINEAR || method == GPUIO_NEAREST))
        return 0;
    for (int i = 0; i < 2; ++i) {
        sample->scaled[i] = (int32_t)scaled[i];
        sample->corner[i] = (int32_t)corner[i];
    }
    const int32_t width = (int32_t)(code & 65535), height = (int32_t)(code >> 16 & 65535);
    sample->place = plan->places[row];
    sample->row = row;
    sample->width = orientation > 4 ? height : width;
    sample->height = orientation > 4 ? width : height;
    sample->orientation = orientation;
    sample->method = same ? GPUIO_NEAREST : (int32_t)method;
    sample->flip = plan->flip[row];
    sample->shrink = 1;
    while (plan->dct_scaling && CODE_FORMAT(code) == JPEG && sample->shrink < 8 &&
           larger >= 2 * sample->shrink)
        sample->shrink *= 2;
    for (int i = 0; i < 2; ++i)
        sample->light[i] = plan->light ? (float)plan->light[2 * row + i] : 0;
    memset(sample->fill, 0, sizeof sample->fill);
    for (int32_t i = 0; plan->inside && i < 4; ++i)
        sample->fill[i] = plan->fill[row * plan->fill_width + (i < plan->fill_width ? i : 0)];
    sample->status = GPUIO_UNUSUAL;
    sample->operations = NULL;
    sample->operation_count = 0;
    for (int32_t k = 0; k < plan->operation_count; ++k) {
        const struct gpuio_operation* all = plan->operations + row * plan->operation_count;
        if (all[k].code == 0) continue;  // changes nothing
        sample->operations = all;
        sample->operation_count = plan->operation_count;
    }
    return 1;
}

int64_t gpuio_native_select(const struct gpuio_plan* plan, struct gpuio_sample* samples,
                            double* pixels) {
    int64_t found = 0;
    for (int64_t row = 0; row < plan->count; ++row) {
        struct gpuio_sample* sample = &samples[found];
        if (!select_sample(plan, row, sample)) continue;
        pixels[found++] = (double)sample->width * sample->height;
    }
    return found;
}
