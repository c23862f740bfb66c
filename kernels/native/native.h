// The native module: JPEGs and PNGs from their bytes to rows of a batch, several of them in one call;
// what comes before that for a whole batch, from headers of records to the geometry of crops; and pages
// of remote files to the cache.
//
// The library is plain C behind this interface, loaded by gpuio/native.py. Its functions neither
// call Python nor keep what they are given, so that they run without the interpreter's lock, on
// several threads at once; only a workspace belongs to one thread at a time.
//
// Oracle  The same samples made by gpuio/execution/resample.py, gpuio/decoding/host.py and
//         gpuio/execution/assemble_host.py, bit for bit. A sample that cannot be made the same way,
//         or at all, is not made: its status says so, and the caller takes the oracle's way, which
//         finds the error, if there is one.
// Reads   Encoded images are hostile. JPEGs are read by libjpeg-turbo, PNGs are decompressed by
//         libdeflate, and no byte behind their end is read. Sizes and places within a sample are
//         checked, too; its row, and what addresses refer to, are the caller's.

#ifndef GPUIO_NATIVE_H
#define GPUIO_NATIVE_H

#include <stdint.h>

// Changes with this interface.
#define GPUIO_NATIVE_ABI 4

#define GPUIO_EXPORT __attribute__((visibility("default")))

// Types of the batch's values, and interpolations, numbered as in gpuio/planning/plan.py.
enum { GPUIO_FLOAT32, GPUIO_FLOAT16, GPUIO_UINT8, GPUIO_INT8 };
enum { GPUIO_NEAREST, GPUIO_LINEAR };

// Status of a sample: made; its file could not be read; libjpeg-turbo warned or failed, or a PNG is
// not sound; it is none that this module makes; memory is short.
enum { GPUIO_MADE, GPUIO_UNREAD, GPUIO_UNDECODED, GPUIO_UNUSUAL, GPUIO_NO_MEMORY };

// What the batches look like.
//
// float32: out[c] = (pixel[c] - offset[c]) * factor[c], with light
// (pixel[c] - offset[c]) * (gain * factor[c]) + shift * factor[c]; each operation one of float32.
// Other types: out[c] = table[c][pixel[c]], elements of the type's size.
struct gpuio_output {
    const void* table;  // (channels, 256); not read for float32 and uint8
    float offset[3], factor[3];
    int32_t width, height;  // pixels
    int32_t channels;       // 1 or 3
    int32_t type;
    int32_t interleaved;  // (height, width, channels), not (channels, height, width)
    int32_t light;        // apply the samples' light; float32 only
};

// The footer of a segment file of the cache, as gpuio/storage/remote/segment.py has it.
struct gpuio_footer {
    uint8_t magic[8], boot[16], identity[32];
    int64_t number, nbytes, page;  // of the segment; bytes of its data, and of a page
};

// What is cached of a range; see gpuio_native_cached.
enum { GPUIO_ABSENT, GPUIO_PRESENT, GPUIO_UNCLEAR };

// Where an encoded image is.
struct gpuio_place {
    const uint8_t* known;  // the beginning of the record, or all of an image in memory
    int64_t known_size;    // bytes of it
    int64_t start;         // of the record in its file, in bytes
    int64_t begin, end;    // of the image, in bytes from the record's beginning
    int32_t file;          // descriptor; -1: the image is in memory. A record in the file that
                           // does not begin with what is known is not read
};

// What a sample's pixels go through, see gpuio/planning/operations.py.
struct gpuio_operation {
    int32_t code;
    uint8_t fill[4];
    double values[6];
};

// A sample.
struct gpuio_sample {
    struct gpuio_place place;
    int64_t row;            // of the batch
    int32_t width, height;  // of the image, in pixels as stored
    int32_t orientation;    // EXIF's, 1 to 8
    int32_t bounds[4];      // x0, y0, x1, y1 of the upright image: the pixels that are scaled
    int32_t scaled[2];      // width and height that these have then
    int32_t corner[2];      // x, y in the scaled pixels of what is shown
    int32_t inside[4];      // x0, y0, x1, y1 in the output, before it is flipped: where it is
    int32_t method;         // interpolation
    int32_t flip;           // left to right
    int32_t shrink;         // decode at 1 / 1, 2, 4 or 8
    float light[2];         // gain and shift
    uint8_t fill[4];        // pixel value of what surrounds `inside`
    int32_t status;         // set by `gpuio_native_render`
    int32_t operation_count;
    const struct gpuio_operation* operations;  // of the output, before it is flipped
};

// What is to become of the images of a batch: arrays with a row for each, see
// gpuio/planning/plan.py. Null where nothing of the kind is planned.
struct gpuio_plan {
    const double* window;              // (count, 4)
    const int64_t* bounds;             // (count, 4)
    const int64_t* method;             // (count)
    const uint8_t* flip;               // (count)
    const double* light;               // (count, 2), or null
    const int64_t* inside;             // (count, 4), the output pixels within a border, or null
    const uint8_t* fill;               // (count, fill_width), with `inside`
    const uint64_t* codes;             // (count), headers, see gpuio/decoding/header_codes.py
    const struct gpuio_place* places;  // (count)
    const struct gpuio_operation* operations;  // (count, operation_count), or null
    int64_t count;
    int32_t fill_width;     // 1, or the channels of the output
    int32_t width, height;  // of the output
    int32_t channels;       // of the output
    int32_t antialias;      // leave out what is shrunk
    int32_t dct_scaling;    // decode at 1/2, 1/4 or 1/8 if as much is left out
    int32_t operation_count;
};

// What is cropped of images: `CropOptions` in gpuio/planning/crop_options.py, without affine maps, and
// with lengths of at most 2^20 pixels.
struct gpuio_crop {
    double area[2], ratio[2];       // of a resized crop
    int32_t width, height;          // of the output
    int32_t resize;                 // 0: not at all
    int32_t pad;                    // pixels
    int32_t least_size, most_size;  // range of the side of a square; 0: none
    int32_t anywhere;               // the crop lies anywhere, not in the center
    int32_t resized;                // a random area of a random aspect ratio
    int32_t mirror, rand_mirror;    // all outputs are flipped, or half of them
    int32_t method;                 // interpolation
};

// The crops of some images, a row for each, see `plan_crops` in gpuio/planning/crop_geometry.py.
struct gpuio_crops {
    double* window;   // (count, 4)
    int64_t* bounds;  // (count, 4)
    int64_t* method;  // (count)
    uint8_t* flip;    // (count)
    int64_t* inside;  // (count, 4), the output pixels that a border surrounds; null: not wanted
    int64_t* padded;  // (count, 2), width and height of what is cropped
    double* largest;  // (count, 2), of the image when it is largest
};

// Records of a file, a row for each, see `RecordHeaders` in gpuio/recordio/record_headers.py.
struct gpuio_records {
    struct gpuio_place* places;  // (count), of the images
    float* labels;               // (count), of those whose label is a single number
    uint32_t* flags;             // (count), numbers in each of the other labels; 0: a single one
    uint64_t* ids;               // (count)
    uint8_t* whole;              // (count), which are intact, have a single part and can be read
};

struct gpuio_workspace;  // the decoders' state, and memory for pixels, reused for further samples

GPUIO_EXPORT int32_t gpuio_native_abi(void);
// SHA-256 of the sources, in hexadecimal digits; the version of libjpeg-turbo; and that of
// libdeflate, empty without it: then PNGs are not made.
GPUIO_EXPORT const char* gpuio_native_build(void);
GPUIO_EXPORT const char* gpuio_native_jpeg(void);
GPUIO_EXPORT const char* gpuio_native_png(void);

// A new workspace; null: memory is short.
GPUIO_EXPORT struct gpuio_workspace* gpuio_native_new(void);
GPUIO_EXPORT void gpuio_native_free(struct gpuio_workspace* workspace);

// Select the samples that `gpuio_native_render` makes as its oracle does: JPEGs in gray or color, and
// PNGs, of which a part of the whole image, scaled by bilinear interpolation, to the nearest pixel or not at
// all, becomes the output. A code of 0 leaves an image out.
//
// Out  samples  (count), of which the first are set, in the order of their rows; they refer to the
//               plan's operations
//      pixels   (count), pixels of their images
// Returns their number.
GPUIO_EXPORT int64_t gpuio_native_select(const struct gpuio_plan* plan,
                                         struct gpuio_sample* samples, double* pixels);

// Make samples.
//
// In   output   what the batch looks like
//      count    number of samples
// Out  samples  their status
//      batch    rows[sample.row] of the samples that are made, (channels, height, width) or
//               (height, width, channels) each, dense; of others the row may be written in part
// Returns the number of samples that were made.
GPUIO_EXPORT int64_t gpuio_native_render(struct gpuio_workspace* workspace,
                                         const struct gpuio_output* output,
                                         struct gpuio_sample* samples, int64_t count, void* batch);

// Read the headers of JPEGs and PNGs, from what of them is in memory.
//
// Oracle  `read_jpeg_headers` in gpuio/decoding/jpeg_headers.py, else `read_header` in header.py.
// Out     codes  (count), see gpuio/decoding/header_codes.py; 0 where the oracle finds none, for other
//                formats, and where more would have to be read
GPUIO_EXPORT void gpuio_native_headers(const struct gpuio_place* places, int64_t count,
                                       uint64_t* codes);

// Read parts of a file, from begins[i] to before ends[i], to to + places[i]. Whether all of them
// could be read; if not, any of them may have been.
GPUIO_EXPORT int32_t gpuio_native_read(int32_t file, const int64_t* begins, const int64_t* ends,
                                       const int64_t* places, int64_t count, uint8_t* to);

// Join parts of a file, from begins[i] to before ends[i], that are at most `gap` bytes apart.
//
// Oracle  `join` in gpuio/storage/parts.py.
// Out     joined  (6, count): where each range begins, ends, and is put; where each part is put; and
//                 two rows of memory for sorting
// Returns the number of ranges.
GPUIO_EXPORT int64_t gpuio_native_join(const int64_t* begins, const int64_t* ends, int64_t count,
                                       int64_t gap, int64_t* joined);

// Read the headers of records that begin at starts[i] of a file of `size` bytes, of which known[i]
// bytes are at data + begins[i].
//
// Oracle  `RecordHeaders.contents` in gpuio/recordio/record_headers.py.
// In      file  descriptor; -1: there is none, and images are used that are whole in memory
// Out     records; of those that are not whole the places and ids are 0, and the others mean nothing
// Returns the number of those that are whole and whose label is a single number.
GPUIO_EXPORT int64_t gpuio_native_records(const uint8_t* data, const int64_t* begins,
                                          const int64_t* known, const int64_t* starts,
                                          int64_t count, int64_t size, int32_t file,
                                          const struct gpuio_records* records);

// Open a segment file for writing and lock the pages from `first` to before `last` of it, bytes of
// these numbers, if all of them are missing, nobody else has locked any of them, and the file ends with
// this footer. For calls with the interpreter's lock: each call into the system takes a microsecond or
// two.
//
// Returns the descriptor; -1: not so, or it cannot be found out, and the caller takes the oracle's way.
GPUIO_EXPORT int32_t gpuio_native_claim(const char* path, const struct gpuio_footer* footer,
                                        int64_t first, int64_t last);

// Write claimed pages, `size` bytes, mark them as written after that, unlock them and close the file,
// also after an error. Returns the error's number, else 0.
GPUIO_EXPORT int32_t gpuio_native_fill(int32_t file, const struct gpuio_footer* footer,
                                       int64_t first, int64_t last, const uint8_t* data,
                                       int64_t size);

// Find ranges of an object in its segment files, and read those that are there to to + places[i].
//
// In      folder   of the segment files
//         footer   of any of them
//         segment  bytes of a segment of the object, which has `size` bytes
//         to       null: nothing is read
// In out  begins, ends, places  (count), none empty, ascending, and each within a segment. Pages that are
//         there at the ends of a range that is otherwise absent are read, and the range becomes shorter
// Out     found    (count), GPUIO_ABSENT: no page of the range is there; GPUIO_PRESENT: all are, and have
//         been read; GPUIO_UNCLEAR: some are, or something is wrong: the oracle finds out
GPUIO_EXPORT void gpuio_native_cached(const char* folder, const struct gpuio_footer* footer,
                                      int64_t segment, int64_t size, int64_t* begins, int64_t* ends,
                                      int64_t* places, int64_t count, uint8_t* to, uint8_t* found);

// Random words of Philox4x32-10, for `count` records the blocks from `first` on: (count, blocks, 4).
// Oracle: `words` in gpuio/sampling/philox.py.
GPUIO_EXPORT void gpuio_native_philox(uint64_t seed, const int64_t* epoch, const int64_t* record,
                                      int64_t count, uint32_t first, uint32_t blocks,
                                      uint64_t* words);

// Plan crops of images of some sizes, (count, 2) widths and heights.
//
// Oracle   `plan_crops` in gpuio/planning/crop_geometry.py, bit for bit.
// Out      crops
// Returns  whether all sides are within 1 to 2^20 pixels; if not, rows may be left as they are
GPUIO_EXPORT int32_t gpuio_native_crops(const struct gpuio_crop* crop, uint64_t seed,
                                        const int64_t* sizes, const int64_t* epoch,
                                        const int64_t* record, int64_t count,
                                        const struct gpuio_crops* crops);

// Apply operations to the pixels of a sample, one after another.
//
// Oracle  `operate` in gpuio/execution/operations.py.
// In      pixels    (height, width, depth), dense; depth 1, 3 or 4. Of 4 bytes `channels` may be 3
//         channels  1, 3 or 4; with 4 there are warps and erasing alone
// Out     pixels or other, of the same size, hold the result; what the other one holds is undefined
// Returns 1 if it is in `other`, else 0.
GPUIO_EXPORT int32_t gpuio_native_operate(const struct gpuio_operation* operations, int32_t count,
                                          uint8_t* pixels, uint8_t* other, int32_t width,
                                          int32_t height, int32_t depth, int32_t channels);

#endif
