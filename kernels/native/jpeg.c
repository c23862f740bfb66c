// Decoding of windows of JPEGs by libjpeg-turbo.

#include "internal.h"

// After jpeglib.h.
#include <jerror.h>

// Pixels around a window that are decoded with it: the upsampling of chroma reads one sample beyond
// a pixel, and treats the edge of what is decoded like the image's.
#define MARGIN 8

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

void begin_jpeg_window(struct gpuio_workspace* workspace, struct rectangle window) {
    struct jpeg_decompress_struct* jpeg = &workspace->jpeg;
    JDIMENSION first = 0, width = jpeg->output_width;
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
}

void read_jpeg_line(struct gpuio_workspace* workspace, uint8_t* line) {
    JSAMPROW row = line;
    if (jpeg_read_scanlines(&workspace->jpeg, &row, 1) != 1) fail(workspace, GPUIO_UNDECODED);
}

int32_t skip_jpeg_lines(struct gpuio_workspace* workspace, int32_t most) {
    struct jpeg_decompress_struct* jpeg = &workspace->jpeg;
    const jpeg_component_info* chroma = &jpeg->comp_info[jpeg->num_components - 1];
    const int across = jpeg->max_h_samp_factor, down = jpeg->max_v_samp_factor;
    if (jpeg->scale_denom != 1) return 0;
    // Where several rows are upsampled together, libjpeg-turbo reads those to be skipped one by one
    // only for the sake of 4:2:0 in color; of others it may lose the place.
    if (down > 1 && (jpeg->out_color_space == JCS_GRAYSCALE || down != 2 || across != 2 ||
                     chroma->h_samp_factor != 1 || chroma->v_samp_factor != 1 ||
                     jpeg->output_width < 2 * DCTSIZE))
        return 0;
    const int32_t lines = DCTSIZE * down, at = workspace->next_line % lines;
    const int32_t left = at == 0 ? 0 : lines - 1 - at;
    const int32_t count = most < left ? most : left;
    if (count <= 0) return 0;
    if (jpeg_skip_scanlines(jpeg, (JDIMENSION)count) != (JDIMENSION)count)
        fail(workspace, GPUIO_UNDECODED);
    return count;
}
