// What the sources of the native module share.

#ifndef GPUIO_INTERNAL_H
#define GPUIO_INTERNAL_H

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

#ifdef GPUIO_PNG
#include <libdeflate.h>
#endif

#include "native.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pixels are read as little-endian words");

// Functions whose loops compilers vectorize, for the processor that they run on. (The functions that
// choose run before a sanitizer can.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define VECTORIZED __attribute__((target_clones("default", "avx2")))
#else
#define VECTORIZED
#endif

// Bytes of memory that a workspace keeps between samples for one purpose, at most.
#define MOST_KEPT ((size_t)1 << 26)

// Memory that grows as it is needed.
struct buffer {
    uint8_t* memory;
    size_t size;
};

// How one axis is resampled: output pixel i is made of source pixels first[i] and second[i], with
// the weights weight[2 i] and weight[2 i + 1], in units of 1 / 2048.
struct axis {
    int32_t *first, *second;
    int16_t* weight;
    int32_t least, end;  // source pixels that are used, from `least` to before `end`
};

#ifdef GPUIO_PNG
// A PNG that is decoded.
struct png {
    struct libdeflate_decompressor* inflater;  // null: not needed so far
    int depth, type;                           // bits of a sample, and color type
    size_t step, row_bytes;  // bytes from pixel to pixel, or 1, and of a row without its filter
    const uint8_t* palette;  // `colors` of 3 bytes
    int colors;
    const uint8_t* above;  // the row decoded last
    uint8_t* next;         // the filter of the next one
};
#endif

struct gpuio_workspace {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
#ifdef GPUIO_PNG
    struct png png;
#endif
    jmp_buf failed;             // where `fail` goes
    int32_t status;             // of the sample
    struct buffer encoded;      // an image from a file
    struct buffer joined;       // its compressed pixels, from several chunks
    struct buffer rows;         // all rows of a PNG, with their filters
    struct buffer line;         // a decoded row
    struct buffer upright;      // a decoded window, upright, where it is not stored like this
    struct buffer tables;       // both axes
    struct buffer blended[2];   // source rows, resampled across, int16
    struct buffer pixels;       // an output row, uint8
    struct buffer operated[2];  // an output that operations are applied to, and room for them
    int32_t width, height;      // of what is decoded, as stored
    int32_t depth;              // bytes of a pixel: 1, or 4 (RGB and an undefined one)
    int32_t is_png;             // not a JPEG
    int32_t next_line;          // row of the image that is decoded next
    int32_t first_column;       // of the image, at the beginning of `line`
};

// Give a sample up, with a status; does not return.
_Noreturn void fail(struct gpuio_workspace* workspace, int status);

// Free the memory of buffers that have more than `most` bytes.
void let_go(struct gpuio_workspace* workspace, size_t most);

// At least `size` bytes of memory, aligned to 64; what it held is lost.
uint8_t* need(struct gpuio_workspace* workspace, struct buffer* buffer, size_t size);

// Read a file from `begin` to before `end`; whether that is possible.
int read_fully(int file, uint8_t* to, int64_t begin, int64_t end);

// Four random words of 32 bits; see `gpuio_native_philox`.
void philox(uint64_t seed, int64_t epoch, int64_t record, uint32_t block, uint64_t words[4]);

// A rectangle of pixels: x0 <= x < x1, y0 <= y < y1.
struct rectangle {
    int32_t x0, y0, x1, y1;
};

// Read the header of an image, and prepare to decode it at 1 / shrink. To be closed also if that
// fails: libjpeg-turbo would take the tables of one image for those that the next one lacks.
void open_image(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
                const struct gpuio_sample* sample, int channels);
void close_image(struct gpuio_workspace* workspace);
// Begin to decode the pixels of a rectangle of the image as stored.
void begin_window(struct gpuio_workspace* workspace, struct rectangle window);
// Row y of the image, from the window's first column on; y does not decrease. Valid until the next
// row is asked for. One byte for each pixel, or 4 (RGB and an undefined one).
const uint8_t* window_row(struct gpuio_workspace* workspace, struct rectangle window, int32_t y);
// Fail if what follows the window is damaged, where the oracle would.
void end_image(struct gpuio_workspace* workspace);

// The same for JPEGs. Decoding of a window may begin below the first row, and right of the first
// column, which is set then.
void open_jpeg(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
               const struct gpuio_sample* sample, int channels);
void close_jpeg(struct gpuio_workspace* workspace);
void begin_jpeg_window(struct gpuio_workspace* workspace, struct rectangle window);
void read_jpeg_line(struct gpuio_workspace* workspace, uint8_t* line);

// Skip up to `most` of the next rows, which are decoded but not converted to RGB; their number. Those
// between one row of blocks and the next are not skipped: libjpeg-turbo would upsample the colors
// behind them as at the edge of the image.
int32_t skip_jpeg_lines(struct gpuio_workspace* workspace, int32_t most);

// The same for PNGs, whose rows are all decompressed at once.
int starts_png(const uint8_t* data, size_t size);
void open_png(struct gpuio_workspace* workspace, const uint8_t* data, size_t size,
              const struct gpuio_sample* sample, int channels);
void read_png_line(struct gpuio_workspace* workspace, uint8_t* line);
void free_png(struct gpuio_workspace* workspace);

// The pixels of a window, upright, in memory of the workspace: rows of dense pixels.
const uint8_t* upright_window(struct gpuio_workspace* workspace, struct rectangle window,
                              int orientation);

// Plan an axis of `count` output pixels: pixel i shows what is at (i + corner + 1/2) * scale + offset
// in a source of `size` pixels, whose first pixel is at 1/2; with GPUIO_NEAREST the pixel at
// (i + corner) * scale + offset. Beyond the edge its pixel repeats; `across`, its weight is 1 there.
void plan_axis(struct axis* axis, int method, int across, int32_t count, int32_t corner,
               double scale, double offset, int32_t size);
// Reverse the order of the output pixels.
void reverse_axis(struct axis* axis, int32_t count);

// A source row to `count` pixels across, in units of 1 / 128: int16, `channels` 1 or 4.
void blend_across(int16_t* to, const uint8_t* from, const struct axis* axis, int32_t count,
                  int channels);
// Two rows of `blend_across` to pixels.
void blend_down(uint8_t* to, const int16_t* first, const int16_t* second, const int16_t* weight,
                int32_t count);
void pick_nearest(uint8_t* to, const uint8_t* from, const struct axis* axis, int32_t count,
                  int channels);

// Write one row of a sample's pixels, 1 byte or 4 each, to the batch.
void store_row(const struct gpuio_output* output, const struct gpuio_sample* sample, int32_t y,
               const uint8_t* pixels, void* batch);

#endif
