// Decoding of PNGs: libdeflate decompresses them, and the rest of the format is a few lines (PNG
// specification, third edition).

#include <stdlib.h>
#include <string.h>

#include "internal.h"

#ifdef GPUIO_PNG

static const uint8_t SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

// Bytes of a file up to the end of its header, section 11.2.1; and around the content of a chunk.
#define HEADER_BYTES 33
#define CHUNK_BYTES 12
// Bytes of a chunk, and of all pixels with their filters, at most: libpng has limits near the former.
#define MOST_CHUNK 4000000
#define MOST_PIXEL_BYTES ((size_t)1 << 26)

enum { GRAY, RGB = 2, PALETTE, GRAY_ALPHA, RGBA = 6 };

static uint32_t be32(const uint8_t* data) {
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

int starts_png(const uint8_t* data, size_t size) {
    return size >= HEADER_BYTES && memcmp(data, SIGNATURE, sizeof SIGNATURE) == 0;
}

// What the header says; a sample that is none of this module is given up.
static void read_header(struct gpuio_workspace* workspace, const uint8_t* header,
                        const struct gpuio_sample* sample, int channels) {
    static const int SAMPLES[] = {
        [GRAY] = 1, [RGB] = 3, [PALETTE] = 1, [GRAY_ALPHA] = 2, [RGBA] = 4};
    struct png* png = &workspace->png;
    const int depth = header[8], type = header[9];
    const int is_deep = type == GRAY || type == PALETTE;
    const int is_usual = depth == 8 || (is_deep && (depth == 1 || depth == 2 || depth == 4));
    // Neither another compression nor other filters, and not interlaced.
    if (sample->shrink != 1 || be32(header) != (uint32_t)sample->width ||
        be32(header + 4) != (uint32_t)sample->height || type > RGBA || SAMPLES[type] == 0 ||
        !is_usual || header[10] || header[11] || header[12])
        fail(workspace, GPUIO_UNUSUAL);
    // How OpenCV makes colors gray is another matter.
    if (channels == 1 && type != GRAY && type != GRAY_ALPHA) fail(workspace, GPUIO_UNUSUAL);
    const size_t bits = (size_t)depth * (size_t)SAMPLES[type];
    png->depth = depth;
    png->type = type;
    png->step = bits < 8 ? 1 : bits / 8;
    png->row_bytes = ((size_t)sample->width * bits + 7) / 8;
    png->colors = 0;
}

// Give a file up for a chunk that must be understood, or that is part of an animation.
static void ignore_chunk(struct gpuio_workspace* workspace, const uint8_t* name) {
    for (int i = 0; i < 4; ++i)
        if ((name[i] | 32) < 'a' || (name[i] | 32) > 'z') fail(workspace, GPUIO_UNDECODED);
    const int is_critical = name[0] < 'a', is_reserved = name[2] >= 'a';
    if (is_critical || is_reserved) fail(workspace, GPUIO_UNDECODED);
    if (memcmp(name + 1, "cTL", 3) == 0 || memcmp(name, "fdAT", 4) == 0)
        fail(workspace, GPUIO_UNUSUAL);
}

// Visit all chunks, and give the file up for anything that libpng might object to. Find the palette,
// and the compressed pixels, `found` bytes in one piece.
static const uint8_t* find_pixels(struct gpuio_workspace* workspace, const uint8_t* data,
                                  size_t size, size_t* found) {
    struct png* png = &workspace->png;
    const uint8_t *at = data + sizeof SIGNATURE, *end = data + size, *pixels = NULL;
    size_t total = 0, parts = 0;
    int is_over = 0, is_ended = 0;  // the pixels, and the file
    for (int number = 0; !is_ended; ++number) {
        if (end - at < CHUNK_BYTES) fail(workspace, GPUIO_UNDECODED);
        const size_t length = be32(at), left = (size_t)(end - at) - CHUNK_BYTES;
        const uint8_t *name = at + 4, *content = at + 8;
        if (length > left || length > MOST_CHUNK ||
            be32(content + length) != libdeflate_crc32(0, name, length + 4))
            fail(workspace, GPUIO_UNDECODED);
        const int is_pixels = memcmp(name, "IDAT", 4) == 0;
        is_over |= parts && !is_pixels;
        is_ended = memcmp(name, "IEND", 4) == 0;
        if ((number == 0) != (memcmp(name, "IHDR", 4) == 0)) fail(workspace, GPUIO_UNDECODED);
        if (number == 0) {
            if (length != 13) fail(workspace, GPUIO_UNDECODED);
        } else if (is_pixels) {
            if (is_over) fail(workspace, GPUIO_UNDECODED);
            if (parts++ == 0) pixels = content;
            total += length;
        } else if (is_ended) {
            if (length || !parts) fail(workspace, GPUIO_UNDECODED);
        } else if (memcmp(name, "PLTE", 4) == 0) {
            if (parts || png->palette || length == 0 || length > 768 || length % 3)
                fail(workspace, GPUIO_UNDECODED);
            png->palette = content;
            png->colors = (int)(length / 3);
        } else {
            ignore_chunk(workspace, name);
        }
        at = content + length + 4;
    }
    *found = total;
    if (parts == 1) return pixels;
    // The chunks have been checked: they follow one another.
    uint8_t* joined = need(workspace, &workspace->joined, total + 1);
    for (const uint8_t* from = pixels; parts--;) {
        const size_t length = be32(from - 8);
        memcpy(joined, from, length);
        joined += length;
        from += length + CHUNK_BYTES;
    }
    return workspace->joined.memory;
}

void open_png(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
              const struct gpuio_sample* sample, int channels) {
    struct png* png = &workspace->png;
    png->palette = NULL;
    read_header(workspace, data + 16, sample, channels);
    const size_t bytes = (png->row_bytes + 1) * (size_t)sample->height;
    if (bytes > MOST_PIXEL_BYTES) fail(workspace, GPUIO_UNUSUAL);
    size_t length, used, made;
    const uint8_t* compressed = find_pixels(workspace, data, size, &length);
    // zlib refuses distances beyond the window that the stream declares; libdeflate does not.
    if (length < 2 || (size_t)256 << (compressed[0] >> 4) < (bytes < 32768 ? bytes : 32768))
        fail(workspace, GPUIO_UNDECODED);
    if ((png->type == PALETTE) != (png->colors > 0) && png->type != RGB && png->type != RGBA)
        fail(workspace, GPUIO_UNDECODED);
    if (png->inflater == NULL) png->inflater = libdeflate_alloc_decompressor();
    if (png->inflater == NULL) fail(workspace, GPUIO_NO_MEMORY);
    // The row above the first one is zeros.
    uint8_t* rows = need(workspace, &workspace->rows, bytes + png->row_bytes);
    memset(rows, 0, png->row_bytes);
    png->above = rows;
    png->next = rows + png->row_bytes;
    if (libdeflate_zlib_decompress_ex(png->inflater, compressed, length, png->next, bytes, &used,
                                      &made) != LIBDEFLATE_SUCCESS ||
        used != length || made != bytes)
        fail(workspace, GPUIO_UNDECODED);
}

static int paeth(int left, int above, int corner) {
    const int from_left = abs(above - corner), from_above = abs(left - corner);
    const int from_corner = abs(left + above - 2 * corner);
    if (from_left <= from_above && from_left <= from_corner) return left;
    return from_above <= from_corner ? above : corner;
}

// Undo the filter of a row, section 9.2, in its place; the pixel left of the first one is zeros.
static void unfilter(struct gpuio_workspace* workspace, int filter, uint8_t* row,
                     const uint8_t* above, size_t step, size_t count) {
    switch (filter) {
        case 0:
            break;
        case 1:
            for (size_t i = step; i < count; ++i) row[i] = (uint8_t)(row[i] + row[i - step]);
            break;
        case 2:
            for (size_t i = 0; i < count; ++i) row[i] = (uint8_t)(row[i] + above[i]);
            break;
        case 3:
            for (size_t i = 0; i < step; ++i) row[i] = (uint8_t)(row[i] + above[i] / 2);
            for (size_t i = step; i < count; ++i)
                row[i] = (uint8_t)(row[i] + (row[i - step] + above[i]) / 2);
            break;
        case 4:
            for (size_t i = 0; i < step; ++i) row[i] = (uint8_t)(row[i] + above[i]);
            for (size_t i = step; i < count; ++i)
                row[i] = (uint8_t)(row[i] + paeth(row[i - step], above[i], above[i - step]));
            break;
        default:
            fail(workspace, GPUIO_UNDECODED);
    }
}

// Pixel x of a row whose pixels have at most one byte.
static int packed_pixel(const uint8_t* row, int depth, int32_t x) {
    const int32_t per_byte = 8 / depth;
    return row[x / per_byte] >> (8 - depth * (x % per_byte + 1)) & ((1 << depth) - 1);
}

void read_png_line(struct gpuio_workspace* workspace, uint8_t* line) {
    struct png* png = &workspace->png;
    const uint8_t* row = png->next + 1;
    unfilter(workspace, png->next[0], png->next + 1, png->above, png->step, png->row_bytes);
    png->above = row;
    png->next += 1 + png->row_bytes;
    const int32_t width = workspace->width;
    const size_t step = png->step;
    const int to_gray = workspace->depth == 1;
    if (png->type == RGB || png->type == RGBA) {
        for (int32_t x = 0; x < width; ++x, line += 4, row += step)
            line[0] = row[0], line[1] = row[1], line[2] = row[2], line[3] = 0;
    } else if (png->type == PALETTE) {
        for (int32_t x = 0; x < width; ++x, line += 4) {
            const int pixel = packed_pixel(row, png->depth, x);
            // libpng shows such a pixel as black, and may warn.
            if (pixel >= png->colors) fail(workspace, GPUIO_UNDECODED);
            memcpy(line, png->palette + 3 * pixel, 3);
        }
    } else {
        const int factor = 255 / ((1 << png->depth) - 1);
        for (int32_t x = 0; x < width; ++x) {
            const int pixel =
                png->type == GRAY_ALPHA ? row[2 * x] : packed_pixel(row, png->depth, x) * factor;
            if (to_gray)
                line[x] = (uint8_t)pixel;
            else
                memset(line + 4 * x, pixel, 4);
        }
    }
}

void free_png(struct gpuio_workspace* workspace) {
    if (workspace->png.inflater != NULL) libdeflate_free_decompressor(workspace->png.inflater);
}

#else

int starts_png(const uint8_t* data, size_t size) {
    (void)data, (void)size;
    return 0;
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

void free_png(struct gpuio_workspace* workspace) {
    (void)workspace;
}

#endif
