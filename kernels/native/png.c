// Decoding of PNGs by libpng.

#include <string.h>

#include "internal.h"

#ifdef GPUIO_PNG

// Where the header has it (PNG specification, sections 5.2 and 11.2.1).
static const uint8_t SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
#define HEADER_BYTES 33

// Chunks that do not change pixels as they are stored, and are not looked at beyond their checksum.
static const uint8_t IGNORED[] =
    "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0"
    "tEXt\0tIME\0zTXt";

// libpng's own functions for errors, which are not used, refer to stderr. A static library that is
// not made for shared ones, such as Debian's, could not be linked without one in this library.
__attribute__((visibility("hidden"))) void* gpuio_native_no_stderr __asm__("stderr");

_Noreturn static void fail_decoding(png_structp png, png_const_charp message) {
    (void)message;
    fail(png_get_error_ptr(png), GPUIO_UNDECODED);
}

static void read_bytes(png_structp png, png_bytep to, size_t size) {
    struct gpuio_workspace* workspace = png_get_io_ptr(png);
    if (size > (size_t)(workspace->png_end - workspace->png_next)) fail(workspace, GPUIO_UNDECODED);
    memcpy(to, workspace->png_next, size);
    workspace->png_next += size;
}

int starts_png(const uint8_t* data, size_t size) {
    return size >= HEADER_BYTES && memcmp(data, SIGNATURE, sizeof SIGNATURE) == 0;
}

void close_png(struct gpuio_workspace* workspace) {
    png_destroy_read_struct(&workspace->png, &workspace->png_info, NULL);
}

void open_png(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
              const struct gpuio_sample* sample, int channels) {
    workspace->png_next = data;
    workspace->png_end = data + size;
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, workspace, fail_decoding, fail_decoding);
    workspace->png = png;
    if (png != NULL) workspace->png_info = png_create_info_struct(png);
    if (workspace->png_info == NULL) fail(workspace, GPUIO_NO_MEMORY);
    png_infop info = workspace->png_info;
    png_set_read_fn(png, workspace, read_bytes);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, IGNORED, sizeof IGNORED / 5);
    png_read_info(png, info);
    const int depth = png_get_bit_depth(png, info), type = png_get_color_type(png, info);
    if ((int64_t)png_get_image_width(png, info) != sample->width ||
        (int64_t)png_get_image_height(png, info) != sample->height || sample->shrink != 1 ||
        png_get_interlace_type(png, info) != PNG_INTERLACE_NONE || depth > 8)
        fail(workspace, GPUIO_UNUSUAL);
    const int colored = type & PNG_COLOR_MASK_COLOR;
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (!colored && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (channels == 1) {
        if (colored) fail(workspace, GPUIO_UNUSUAL);
        png_set_strip_alpha(png);
    } else {
        if (!colored) png_set_gray_to_rgb(png);
        png_set_filler(png, 0, PNG_FILLER_AFTER);
    }
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)workspace->width * (size_t)workspace->depth)
        fail(workspace, GPUIO_UNUSUAL);
}

void read_png_line(struct gpuio_workspace* workspace, uint8_t* line) {
    png_read_row(workspace->png, line, NULL);
}

void end_png(struct gpuio_workspace* workspace) {
    png_read_end(workspace->png, workspace->png_info);
}

#else

int starts_png(const uint8_t* data, size_t size) {
    (void)data, (void)size;
    return 0;
}

void close_png(struct gpuio_workspace* workspace) {
    (void)workspace;
}

void open_png(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
              const struct gpuio_sample* sample, int channels) {
    (void)data, (void)size, (void)sample, (void)channels;
    fail(workspace, GPUIO_UNUSUAL);
}

void read_png_line(struct gpuio_workspace* workspace, uint8_t* line) {
    (void)line;
    fail(workspace, GPUIO_UNUSUAL);
}

void end_png(struct gpuio_workspace* workspace) {
    (void)workspace;
}

#endif
