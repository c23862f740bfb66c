// Decoding of windows of images, of any format; and the memory for it.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

// Bytes behind pixels that may be read with the last of them, and the distance of rows from a
// multiple of 32: to an aligned row libjpeg-turbo writes past the caches, from which it is read at
// once, which costs a third of decoding.
#define SLACK 64
#define MISALIGNMENT 4

void fail(struct gpuio_workspace* workspace, int status) {
    workspace->status = status;
    longjmp(workspace->failed, 1);
}

uint8_t* need(struct gpuio_workspace* workspace, struct buffer* buffer, size_t size) {
    if (size > buffer->size) {
        free(buffer->memory);
        buffer->size = 0;
        const size_t rounded = (size + size / 8 + 63) / 64 * 64;
        buffer->memory = aligned_alloc(64, rounded);
        if (buffer->memory == NULL) fail(workspace, GPUIO_NO_MEMORY);
        buffer->size = rounded;
    }
    return buffer->memory;
}

struct gpuio_workspace* gpuio_native_new(void) {
    return calloc(1, sizeof(struct gpuio_workspace));
}

void let_go(struct gpuio_workspace* workspace, size_t most) {
    struct buffer* const buffers[] = {
        &workspace->encoded,     &workspace->joined,      &workspace->rows,
        &workspace->line,        &workspace->upright,     &workspace->tables,
        &workspace->pixels,      &workspace->blended[0],  &workspace->blended[1],
        &workspace->operated[0], &workspace->operated[1],
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i)
        if (buffers[i]->size > most) {
            free(buffers[i]->memory);
            *buffers[i] = (struct buffer){NULL, 0};
        }
}

void gpuio_native_free(struct gpuio_workspace* workspace) {
    if (workspace == NULL) return;
    let_go(workspace, 0);
    free_png(workspace);
    free(workspace);
}

void open_image(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
                const struct gpuio_sample* sample, int channels) {
    const int32_t shrink = sample->shrink;
    workspace->width = (sample->width + shrink - 1) / shrink;
    workspace->height = (sample->height + shrink - 1) / shrink;
    workspace->depth = channels == 1 ? 1 : 4;
    workspace->is_png = starts_png(data, size);
    if (workspace->is_png)
        open_png(workspace, data, size, sample, channels);
    else
        open_jpeg(workspace, data, size, sample, channels);
}

void close_image(struct gpuio_workspace* workspace) {
    close_jpeg(workspace);
}

void begin_window(struct gpuio_workspace* workspace, struct rectangle window) {
    workspace->next_line = 0;
    workspace->first_column = 0;
    if (!workspace->is_png) begin_jpeg_window(workspace, window);
    need(workspace, &workspace->line, (size_t)workspace->width * 4 + MISALIGNMENT + SLACK);
}

static void read_line(struct gpuio_workspace* workspace, uint8_t* line) {
    if (workspace->is_png)
        read_png_line(workspace, line);
    else
        read_jpeg_line(workspace, line);
    ++workspace->next_line;
}

const uint8_t* window_row(struct gpuio_workspace* workspace, struct rectangle window, int32_t y) {
    uint8_t* line = workspace->line.memory + MISALIGNMENT;
    while (workspace->next_line <= y) {
        if (!workspace->is_png && workspace->next_line < y)
            workspace->next_line += skip_jpeg_lines(workspace, y - workspace->next_line);
        read_line(workspace, line);
    }
    return line + (size_t)(window.x0 - workspace->first_column) * (size_t)workspace->depth;
}

void end_image(struct gpuio_workspace* workspace) {
    if (!workspace->is_png) return;
    uint8_t* line = workspace->line.memory + MISALIGNMENT;
    while (workspace->next_line < workspace->height) read_line(workspace, line);
}

// EXIF orientations: whether rows become columns, and whether what is stored is upright from right
// to left, or from bottom to top.
static const struct {
    int transposed, leftward, upward;
} ORIENTATIONS[9] = {
    [1] = {0, 0, 0}, [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1},
    [5] = {1, 0, 0}, [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0},
};

const uint8_t* upright_window(struct gpuio_workspace* workspace, struct rectangle window,
                              int orientation) {
    const int transposed = ORIENTATIONS[orientation].transposed;
    const int leftward = ORIENTATIONS[orientation].leftward;
    const int upward = ORIENTATIONS[orientation].upward;
    const int32_t width = window.x1 - window.x0, height = window.y1 - window.y0;
    struct rectangle stored = window;
    if (transposed) stored = (struct rectangle){window.y0, window.x0, window.y1, window.x1};
    const int32_t columns = stored.x1 - stored.x0, rows = stored.y1 - stored.y0;
    if (leftward) {
        stored.x1 = workspace->width - stored.x0;
        stored.x0 = stored.x1 - columns;
    }
    if (upward) {
        stored.y1 = workspace->height - stored.y0;
        stored.y0 = stored.y1 - rows;
    }
    const size_t depth = (size_t)workspace->depth;
    begin_window(workspace, stored);
    uint8_t* upright =
        need(workspace, &workspace->upright, (size_t)width * (size_t)height * depth + SLACK);
    for (int32_t y = 0; y < rows; ++y) {
        const uint8_t* from = window_row(workspace, stored, stored.y0 + y);
        const int32_t down = upward ? rows - 1 - y : y;
        // Where the row's first pixel goes, and how far its next ones are.
        ptrdiff_t at = transposed ? down : (ptrdiff_t)down * width, step = transposed ? width : 1;
        if (leftward) {
            at += (columns - 1) * step;
            step = -step;
        }
        if (depth == 1) {
            for (int32_t x = 0; x < columns; ++x) upright[at + x * step] = from[x];
        } else {
            for (int32_t x = 0; x < columns; ++x)
                memcpy(upright + (at + x * step) * 4, from + (size_t)x * 4, 4);
        }
    }
    return upright;
}
