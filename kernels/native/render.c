// One sample after another, from its record to its row of the batch.

#include <string.h>

#include "internal.h"

// Pixels of a side: the most that an image has; and of a scaled image that is shown in part.
#define MOST_PIXELS 65535
#define MOST_SCALED (1 << 26)

#define STRING(value) #value
#define VERSION(number) STRING(number)

#ifndef GPUIO_BUILD
#define GPUIO_BUILD ""
#endif

int32_t gpuio_native_abi(void) {
    return GPUIO_NATIVE_ABI;
}

const char* gpuio_native_build(void) {
    return GPUIO_BUILD;
}

const char* gpuio_native_jpeg(void) {
    return VERSION(LIBJPEG_TURBO_VERSION);
}

const char* gpuio_native_png(void) {
#ifdef GPUIO_PNG
    return LIBDEFLATE_VERSION_STRING;
#else
    return "";
#endif
}

static int within(const int32_t* rectangle, int32_t width, int32_t height) {
    return rectangle[0] >= 0 && rectangle[0] < rectangle[2] && rectangle[2] <= width &&
           rectangle[1] >= 0 && rectangle[1] < rectangle[3] && rectangle[3] <= height;
}

static int is_sound(const struct gpuio_output* output, const struct gpuio_sample* sample) {
    const int transposed = sample->orientation > 4;
    const int32_t width = transposed ? sample->height : sample->width;
    const int32_t height = transposed ? sample->width : sample->height;
    const struct gpuio_place* place = &sample->place;
    const int32_t *inside = sample->inside, *scaled = sample->scaled, *corner = sample->corner;
    return sample->width > 0 && sample->width <= MOST_PIXELS && sample->height > 0 &&
           sample->height <= MOST_PIXELS && sample->orientation >= 1 && sample->orientation <= 8 &&
           within(sample->bounds, width, height) && within(inside, output->width, output->height) &&
           scaled[0] > 0 && scaled[0] <= MOST_SCALED && corner[0] >= 0 &&
           corner[0] <= scaled[0] - (inside[2] - inside[0]) && scaled[1] > 0 &&
           scaled[1] <= MOST_SCALED && corner[1] >= 0 &&
           corner[1] <= scaled[1] - (inside[3] - inside[1]) &&
           (sample->method == GPUIO_NEAREST || sample->method == GPUIO_LINEAR) &&
           (sample->shrink == 1 || sample->shrink == 2 || sample->shrink == 4 ||
            sample->shrink == 8) &&
           place->begin >= 0 && place->begin < place->end && place->known_size >= 0 &&
           place->start >= 0 && place->end <= INT64_MAX - place->start &&
           (place->file >= 0 || place->end <= place->known_size) && sample->operation_count >= 0 &&
           (sample->operation_count == 0 || sample->operations != NULL);
}

// The encoded image: in memory, or what its file has.
static const uint8_t* encoded_image(struct gpuio_workspace* workspace,
                                    const struct gpuio_place* place) {
    if (place->file < 0) return place->known + place->begin;
    const size_t size = (size_t)place->end, known = (size_t)place->known_size;
    uint8_t* record = need(workspace, &workspace->encoded, size);
    if (!read_fully(place->file, record, place->start, place->start + place->end) ||
        memcmp(record, place->known, known < size ? known : size) != 0)
        fail(workspace, GPUIO_UNREAD);
    return record + place->begin;
}

// Whether an output is made in reverse: one that operations follow is flipped after them.
static int is_flipped(const struct gpuio_sample* sample) {
    return sample->flip && sample->operation_count == 0;
}

static void plan_axes(struct gpuio_workspace* workspace, const struct gpuio_sample* sample,
                      struct axis axes[2], struct rectangle* region) {
    // Which way the axes of the upright image are stored decides where its pixels lie when its size
    // is no multiple of `shrink`.
    static const int REVERSED[9] = {0, 0, 1, 3, 2, 0, 1, 3, 2};
    const int transposed = sample->orientation > 4;
    const int32_t shrink = sample->shrink;
    int32_t* edges[2][2] = {{&region->x0, &region->x1}, {&region->y0, &region->y1}};
    int32_t counts[2];
    size_t size = 0;
    for (int i = 0; i < 2; ++i) {
        counts[i] = sample->inside[i + 2] - sample->inside[i];
        size += (size_t)counts[i] * 12;
    }
    uint8_t* memory = need(workspace, &workspace->tables, size + 16);
    for (int i = 0; i < 2; ++i) {
        struct axis* axis = &axes[i];
        axis->first = (int32_t*)(void*)memory;
        axis->second = axis->first + counts[i];
        axis->weight = (int16_t*)(void*)(axis->second + counts[i]);
        memory += (size_t)counts[i] * 12;
        const int32_t begin = sample->bounds[i], end = sample->bounds[i + 2];
        const int32_t whole = (i == 0) != transposed ? sample->width : sample->height;
        const int32_t shrunk = (whole + shrink - 1) / shrink;
        const int reversed = REVERSED[sample->orientation] >> i & 1;
        const double shift = reversed ? shrunk - (double)whole / shrink : 0.0;
        const double from = (double)begin / shrink + shift, to = (double)end / shrink + shift;
        int32_t first = (int32_t)from, last = (int32_t)to;
        last += last < to;
        if (last > shrunk) last = shrunk;
        if (first >= last) first = last - 1;
        *edges[i][0] = first;
        *edges[i][1] = last;
        // As OpenCV computes it.
        const double scale = 1.0 / ((double)sample->scaled[i] / (end - begin)) / shrink;
        plan_axis(axis, sample->method, i == 0, counts[i], sample->corner[i], scale, from - first,
                  last - first);
    }
    if (is_flipped(sample)) reverse_axis(&axes[0], counts[0]);
}

// Store one row of an output; if operations follow, in memory of the workspace.
static void put_row(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                    const struct gpuio_sample* sample, int32_t y, const uint8_t* pixels,
                    void* batch) {
    if (sample->operation_count == 0) {
        store_row(output, sample, y, pixels, batch);
        return;
    }
    const size_t size = (size_t)output->width * (output->channels == 1 ? 1 : 4);
    memcpy(workspace->operated[0].memory + (size_t)y * size, pixels, size);
}

// Apply a sample's operations to its output, and store that.
static void operate(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                    const struct gpuio_sample* sample, uint8_t* pixels, void* batch) {
    const int depth = output->channels == 1 ? 1 : 4;
    const int32_t width = output->width, height = output->height;
    const int32_t moved = gpuio_native_operate(
        sample->operations, sample->operation_count, workspace->operated[0].memory,
        workspace->operated[1].memory, width, height, depth, output->channels);
    const uint8_t* row = workspace->operated[moved].memory;
    for (int32_t y = 0; y < height; ++y, row += (ptrdiff_t)width * depth) {
        if (sample->flip)
            for (int32_t x = 0; x < width; ++x)
                memcpy(pixels + x * depth, row + (width - 1 - x) * depth, (size_t)depth);
        store_row(output, sample, y, sample->flip ? pixels : row, batch);
    }
}

static void render(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                   const struct gpuio_sample* sample, void* batch) {
    const int depth = output->channels == 1 ? 1 : 4;
    const int32_t width = output->width;
    const int32_t count = sample->inside[2] - sample->inside[0];
    const int32_t begin = is_flipped(sample) ? width - sample->inside[2] : sample->inside[0];
    struct axis axes[2], *across = &axes[0], *down = &axes[1];
    struct rectangle region;
    plan_axes(workspace, sample, axes, &region);
    const struct rectangle window = {region.x0 + across->least, region.y0 + down->least,
                                     region.x0 + across->end, region.y0 + down->end};
    for (int32_t i = 0; i < count; ++i) across->first[i] -= across->least;

    open_image(workspace, encoded_image(workspace, &sample->place),
               (size_t)(sample->place.end - sample->place.begin), sample, output->channels);
    const uint8_t* upright = NULL;
    if (sample->orientation == 1)
        begin_window(workspace, window);
    else
        upright = upright_window(workspace, window, sample->orientation);
    const size_t stride = (size_t)(window.x1 - window.x0) * (size_t)depth;

    uint8_t* pixels = need(workspace, &workspace->pixels, (size_t)width * 4 + 64);
    int16_t* blended[2];
    int32_t held[2] = {-1, -1};  // the source rows that these are of
    for (int i = 0; i < 2; ++i)
        blended[i] =
            (int16_t*)(void*)need(workspace, &workspace->blended[i], (size_t)count * 8 + 64);
    const size_t size = (size_t)width * (size_t)output->height * (size_t)depth;
    for (int i = 0; i < 2 && sample->operation_count; ++i)
        need(workspace, &workspace->operated[i], size);
    const int nearest = sample->method == GPUIO_NEAREST;
    for (int32_t x = 0; x < width; ++x) memcpy(pixels + x * depth, sample->fill, (size_t)depth);
    for (int32_t y = 0; y < sample->inside[1]; ++y)
        put_row(workspace, output, sample, y, pixels, batch);
    for (int32_t i = 0; i < sample->inside[3] - sample->inside[1]; ++i) {
        const int32_t rows[2] = {down->first[i], down->second[i]};
        if (held[0] != rows[0] && held[1] == rows[0]) {
            int16_t* swapped = blended[0];
            blended[0] = blended[1], blended[1] = swapped;
            held[0] = rows[0], held[1] = -1;
        }
        for (int k = 0; k < (nearest ? 1 : 2); ++k) {
            if (held[k] == rows[k] || (k == 1 && rows[1] == rows[0])) continue;
            const uint8_t* from = upright ? upright + (size_t)(rows[k] - down->least) * stride
                                          : window_row(workspace, window, region.y0 + rows[k]);
            if (nearest)
                pick_nearest(pixels + begin * depth, from, across, count, depth);
            else
                blend_across(blended[k], from, across, count, depth);
            held[k] = rows[k];
        }
        if (!nearest)
            blend_down(pixels + begin * depth, blended[0],
                       rows[1] == rows[0] ? blended[0] : blended[1], down->weight + 2 * i,
                       count * depth);
        put_row(workspace, output, sample, sample->inside[1] + i, pixels, batch);
    }
    for (int32_t x = 0; x < width; ++x) memcpy(pixels + x * depth, sample->fill, (size_t)depth);
    for (int32_t y = sample->inside[3]; y < output->height; ++y)
        put_row(workspace, output, sample, y, pixels, batch);
    end_image(workspace);
    if (sample->operation_count) operate(workspace, output, sample, pixels, batch);
}

// The status of a sample that was attempted. No local variable changes after setjmp.
static int attempt(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                   const struct gpuio_sample* sample, void* batch) {
    workspace->status = GPUIO_MADE;
    if (setjmp(workspace->failed) == 0) render(workspace, output, sample, batch);
    close_image(workspace);
    let_go(workspace, MOST_KEPT);
    return workspace->status;
}

int64_t gpuio_native_render(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                            struct gpuio_sample* samples, int64_t count, void* batch) {
    int64_t made = 0;
    for (int64_t i = 0; i < count; ++i) {
        samples[i].status = is_sound(output, &samples[i])
                                ? attempt(workspace, output, &samples[i], batch)
                                : GPUIO_UNUSUAL;
        made += samples[i].status == GPUIO_MADE;
    }
    return made;
}
