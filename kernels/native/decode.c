// Decoding of windows of JPEGs by libjpeg-turbo.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

// After jpeglib.h.
#include <jerror.h>

// Pixels around a window that are decoded with it: the upsampling of chroma reads one sample beyond
// a pixel, and treats the edge of what is decoded like the image's.
#define MARGIN 8

// Bytes behind pixels that may be read with the last of them, and the distance of rows from a
// multiple of 32: to an aligned row libjpeg-turbo writes past the caches, from which it is read at
// once, which costs a third of decoding.
#define SLACK 64
#define MISALIGNMENT 4

void fail(struct gpuio_workspace* workspace, int status) {
    longjmp(workspace->failed, status);
}

static void fail_decoding(j_common_ptr jpeg) {
    struct gpuio_workspace* workspace = jpeg->client_data;
    const int no_memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    fail(workspace, no_memory ? GPUIO_NO_MEMORY : GPUIO_UNDECODED);
}

// Warnings have levels below 0.
static void fail_at_warning(j_common_ptr jpeg, int level) {
    if (level < 0) fail_decoding(jpeg);
}

static void ignore_message(j_common_ptr jpeg) {
    (void)jpeg;
}

static void ignore_text(j_common_ptr jpeg, char* text) {
    (void)jpeg;
    *text = 0;
}

static void forget_warnings(j_common_ptr jpeg) {
    jpeg->err->num_warnings = 0;
    jpeg->err->msg_code = 0;
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
        &workspace->encoded, &workspace->line,       &workspace->upright,    &workspace->tables,
        &workspace->pixels,  &workspace->blended[0], &workspace->blended[1],
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
    free(workspace);
}

void close_jpeg(struct gpuio_workspace* workspace) {
    jpeg_destroy_decompress(&workspace->jpeg);
}

void open_jpeg(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
               const struct gpuio_sample* sample, int channels) {
    struct jpeg_decompress_struct* jpeg = &workspace->jpeg;
    // Not from jpeg_std_error, which refers to stderr: a static library that is not made for shared
    // ones, such as Debian's, could not be linked.
    workspace->errors = (struct jpeg_error_mgr){
        .error_exit = fail_decoding,
        .emit_message = fail_at_warning,
        .output_message = ignore_message,
        .format_message = ignore_text,
        .reset_error_mgr = forget_warnings,
    };
    jpeg->err = &workspace->errors;
    jpeg->client_data = workspace;
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, data, size);
    jpeg_read_header(jpeg, TRUE);
    if ((int64_t)jpeg->image_width != sample->width ||
        (int64_t)jpeg->image_height != sample->height || jpeg->data_precision != 8 ||
        (jpeg->num_components != 1 && jpeg->num_components != 3))
        fail(workspace, GPUIO_UNUSUAL);
    jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_EXT_RGBX;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)sample->shrink;
    jpeg_start_decompress(jpeg);
    // Lossless images are not decoded at a part of their size.
    const int32_t shrink = sample->shrink;
    if ((int64_t)jpeg->output_width != (sample->width + shrink - 1) / shrink ||
        (int64_t)jpeg->output_height != (sample->height + shrink - 1) / shrink)
        fail(workspace, GPUIO_UNUSUAL);
    // Versions of libjpeg-turbo smooth coefficients that are not all known differently.
    if (jpeg->progressive_mode && jpeg->coef_bits != NULL)
        for (int component = 0; component < jpeg->num_components; ++component)
            for (int i = 0; i < DCTSIZE2; ++i)
                if (jpeg->coef_bits[component][i] != 0) fail(workspace, GPUIO_UNUSUAL);
}

void begin_window(struct gpuio_workspace* workspace, struct rectangle window) {
    struct jpeg_decompress_struct* jpeg = &workspace->jpeg;
    JDIMENSION first = 0, width = jpeg->output_width;
    workspace->next_line = 0;
    // The coefficients of an image in several scans are all in memory.
    if (!jpeg_has_multiple_scans(jpeg)) {
        const JDIMENSION begin = window.x0 > MARGIN ? (JDIMENSION)window.x0 - MARGIN : 0;
        const JDIMENSION end = (JDIMENSION)window.x1 + MARGIN;
        // Of images that are decoded at a part of their size, libjpeg-turbo cuts chroma that is
        // upsampled by four and by two in the wrong place, and shows memory of earlier images.
        const int is_safe =
            jpeg->scale_denom == 1 || jpeg->max_h_samp_factor * jpeg->max_v_samp_factor <= 4;
        if (is_safe && (begin >= DCTSIZE || end + DCTSIZE <= width)) {
            first = begin;
            width = (end < width ? end : width) - begin;
            jpeg_crop_scanline(jpeg, &first, &width);
        }
        if (window.y0 > 2 * MARGIN) {
            const JDIMENSION above = (JDIMENSION)window.y0 - MARGIN;
            if (jpeg_skip_scanlines(jpeg, above) != above) fail(workspace, GPUIO_UNDECODED);
            workspace->next_line = (int32_t)above;
        }
    }
    workspace->first_column = (int32_t)first;
    need(workspace, &workspace->line, (size_t)jpeg->output_width * 4 + MISALIGNMENT + SLACK);
}

static void read_line(struct gpuio_workspace* workspace, uint8_t* line) {
    JSAMPROW row = line;
    if (jpeg_read_scanlines(&workspace->jpeg, &row, 1) != 1) fail(workspace, GPUIO_UNDECODED);
    ++workspace->next_line;
}

const uint8_t* window_row(struct gpuio_workspace* workspace, struct rectangle window, int32_t y) {
    uint8_t* line = workspace->line.memory + MISALIGNMENT;
    while (workspace->next_line <= y) read_line(workspace, line);
    return line + (size_t)(window.x0 - workspace->first_column) *
                      (size_t)workspace->jpeg.output_components;
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
    struct jpeg_decompress_struct* jpeg = &workspace->jpeg;
    const int transposed = ORIENTATIONS[orientation].transposed;
    const int leftward = ORIENTATIONS[orientation].leftward;
    const int upward = ORIENTATIONS[orientation].upward;
    const int32_t width = window.x1 - window.x0, height = window.y1 - window.y0;
    struct rectangle stored = window;
    if (transposed) stored = (struct rectangle){window.y0, window.x0, window.y1, window.x1};
    const int32_t columns = stored.x1 - stored.x0, rows = stored.y1 - stored.y0;
    if (leftward) {
        stored.x1 = (int32_t)jpeg->output_width - stored.x0;
        stored.x0 = stored.x1 - columns;
    }
    if (upward) {
        stored.y1 = (int32_t)jpeg->output_height - stored.y0;
        stored.y0 = stored.y1 - rows;
    }
    const size_t depth = (size_t)jpeg->output_components;
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
