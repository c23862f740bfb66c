// Headers of images: the arithmetic of gpuio/decoding/jpeg_headers.py, header.py and exif.py.

#include <string.h>

#include "internal.h"

// Markers of JPEG (ITU-T T.81, table B.1).
enum { SOF0 = 0xC0, SOF2 = 0xC2, DHT = 0xC4, JPG = 0xC8, DAC = 0xCC, RST0 = 0xD0, SOI = 0xD8 };
enum { EOI = 0xD9, SOS = 0xDA, DQT = 0xDB, DRI = 0xDD, APP0 = 0xE0, APP1 = 0xE1, APP14 = 0xEE };
enum { APP15 = 0xEF, COM = 0xFE, TEM = 0x01 };

// See jpeg_headers.py: where the first scan of an ordinary JPEG begins, and segments before it; the
// most pixels for a byte. See header.py: segments of others.
#define WINDOW 4096
#define USUAL_SEGMENTS 32
#define JPEG_PIXELS 512
#define MOST_SEGMENTS 4096

// See structure.py.
enum { UNKNOWN, COMPLETE, UNTERMINATED };

#define ORIENTATION_TAG 0x0112

// The beginning of an encoded image, of `size` bytes.
struct beginning {
    const uint8_t* data;
    int64_t known, size;
};

static int32_t be16(const uint8_t* data) {
    return data[0] << 8 | data[1];
}

static int64_t be32(const uint8_t* data) {
    return (int64_t)be16(data) << 16 | be16(data + 2);
}

static uint64_t code_of(int64_t width, int64_t height, int orientation, int several, int channels,
                        int format, int structure) {
    if (width < 1 || width > 65535 || height < 1 || height > 65535) return 0;
    const int transposed = orientation > 4;
    return (uint64_t)(transposed ? height : width) | (uint64_t)(transposed ? width : height) << 16 |
           (uint64_t)orientation << 32 | (uint64_t)several << 36 | (uint64_t)channels << 40 |
           (uint64_t)format << 48 | (uint64_t)structure << 56;
}

static int is_frame(int marker) {
    return marker >= SOF0 && marker <= 0xCF && marker != DHT && marker != JPG && marker != DAC;
}

static int is_skipped(int marker) {
    return marker == DHT || marker == DQT || marker == DRI || marker == COM ||
           (marker >= APP0 && marker <= APP15 && marker != APP1 && marker != APP14);
}

// Whether a frame header, with its marker, is usual for a file of `size` bytes.
static int is_usual_frame(const uint8_t* frame, int64_t size) {
    const int64_t length = be16(frame + 2);
    if (length < 11) return 0;
    const int64_t pixels = (int64_t)be16(frame + 5) * be16(frame + 7);
    const int count = frame[9];
    if (frame[4] != 8 || pixels == 0 || (pixels - 1) / JPEG_PIXELS >= size ||
        length != 8 + 3 * count)
        return 0;
    const int y_across = frame[11] >> 4, y_down = frame[11] & 15;
    if (count == 1) return y_across > 0 && y_down > 0;
    if (count != 3 || frame[14] != frame[17] ||
        (frame[10] == 'R' && frame[13] == 'G' && frame[16] == 'B'))
        return 0;
    const int across = frame[14] >> 4, down = frame[14] & 15;
    if (!across || !down || y_across % across || y_down % down) return 0;
    const int wide = y_across / across, high = y_down / down;
    // All of 1, 2 and 4, but 1 x 4 and 4 x 4.
    return (wide == 1 && (high == 1 || high == 2)) || (wide == 4 && (high == 1 || high == 2)) ||
           (wide == 2 && (high == 1 || high == 2 || high == 4));
}

// The code of an ordinary JPEG, with its structure, as far as it is in memory; 0 for others.
static uint64_t ordinary_jpeg(struct beginning image) {
    const uint8_t* data = image.data;
    const int64_t limit = image.known < WINDOW ? image.known : WINDOW;
    int64_t at = 2, frame = 0;
    for (int i = 0; i < USUAL_SEGMENTS; ++i) {
        if (at + 4 > limit || data[at] != 0xFF) return 0;
        const int marker = data[at + 1];
        const int64_t following = at + 2 + be16(data + at + 2);
        if (following < at + 4) return 0;
        if (marker == SOS) {
            if (!frame || following >= image.size || !is_usual_frame(data + frame, image.size))
                return 0;
            const int channels = data[frame + 9];
            const int several =
                data[frame + 1] == SOF2 || at + 4 >= image.known || data[at + 4] < channels;
            const uint8_t* end = data + image.known - 2;
            const int structure = image.known < image.size          ? UNKNOWN
                                  : end[0] == 0xFF && end[1] == EOI ? COMPLETE
                                                                    : UNTERMINATED;
            return code_of(be16(data + frame + 7), be16(data + frame + 5), 1, several, channels, 0,
                           structure);
        }
        if (marker >= SOF0 && marker <= SOF2 && !frame)
            frame = at;
        else if (!is_skipped(marker))
            return 0;
        at = following;
    }
    return 0;
}

static int32_t short_at(const uint8_t* tiff, int64_t at, int big) {
    return big ? be16(tiff + at) : tiff[at] | tiff[at + 1] << 8;
}

// The orientation in a TIFF structure; 1 if there is none.
static int orientation_of(const uint8_t* tiff, int64_t size) {
    if (size < 8) return 1;
    const int big = tiff[0] == 'M' && tiff[1] == 'M';
    if (!big && (tiff[0] != 'I' || tiff[1] != 'I')) return 1;
    const int64_t directory =
        big ? be32(tiff + 4) : short_at(tiff, 4, 0) | (int64_t)short_at(tiff, 6, 0) << 16;
    if (directory + 2 > size) return 1;
    const int32_t count = short_at(tiff, directory, big);
    int64_t at = directory + 2;
    for (int32_t i = 0; i < count && at + 12 <= size; ++i, at += 12) {
        if (short_at(tiff, at, big) != ORIENTATION_TAG) continue;
        const int32_t value = short_at(tiff, at + 8, big);
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

// The code of any JPEG; 0 if its header is damaged, or not in memory.
static uint64_t any_jpeg(struct beginning image) {
    const uint8_t *data = image.data, *frame = NULL;
    const int is_whole = image.known == image.size;
    int orientation = 1, several = -1;
    int64_t at = 2;
    for (int i = 0; i < MOST_SEGMENTS && several < 0; ++i) {
        const int64_t first = at;
        while (at < image.known && data[at] == 0xFF) ++at;
        if (at >= image.known || at == first) break;
        const int marker = data[at++];
        if (marker == TEM || (marker >= RST0 && marker <= EOI)) continue;
        if (marker == SOS) {
            if (!frame) return 0;
            if (at + 2 < image.known)
                several = data[at + 2] < frame[7];
            else
                break;
        }
        if (at + 2 > image.known) break;
        const int64_t length = be16(data + at);
        int64_t end = at + length;
        if (end > image.known) {
            if (!is_whole && !frame) return 0;
            end = image.known;
        }
        if (!frame && is_frame(marker)) {
            if (end < at + 8) return 0;
            frame = data + at;
            if (marker == SOF2 || marker == 0xC6 || marker == 0xCA || marker == 0xCE) several = 1;
        } else if (!frame && marker == APP1 && end >= at + 8 &&
                   memcmp(data + at + 2, "Exif\0", 6) == 0) {
            orientation = orientation_of(data + at + 8, end - at - 8);
        }
        at += length;
    }
    // Whether there are several scans is not known if the first one is not found.
    if (!frame || (several < 0 && !is_whole)) return 0;
    return code_of(be16(frame + 5), be16(frame + 3), orientation, several != 0, frame[7], 0,
                   UNKNOWN);
}

// The code of a PNG; 0 if its header is damaged, or not in memory.
static uint64_t any_png(struct beginning image) {
    static const int CHANNELS[] = {1, 3, 3, 3, 2, 3, 4};
    const uint8_t* data = image.data;
    if (image.known < 26) return 0;
    int orientation = 1, animated = 0;
    int64_t at = 8;
    for (int i = 0; i < MOST_SEGMENTS && at + 8 <= image.known; ++i) {
        const int64_t length = be32(data + at);
        const uint8_t* name = data + at + 4;
        if (memcmp(name, "IDAT", 4) == 0) {
            const int type = data[25];
            return code_of(be32(data + 16), be32(data + 20), orientation, animated,
                           type < 7 ? CHANNELS[type] : 3, 1, UNKNOWN);
        }
        if (memcmp(name, "eXIf", 4) == 0 && orientation == 1) {
            const int64_t left = image.known - at - 8;
            if (length > left && image.known < image.size) return 0;
            orientation = orientation_of(data + at + 8, length < left ? length : left);
        }
        animated |= memcmp(name, "acTL", 4) == 0;
        at += 12 + length;
    }
    return 0;
}

void gpuio_native_headers(const struct gpuio_place* places, int64_t count, uint64_t* codes) {
    static const uint8_t PNG_SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    for (int64_t i = 0; i < count; ++i) {
        const struct gpuio_place* place = &places[i];
        const int64_t known = place->known_size < place->end ? place->known_size : place->end;
        codes[i] = 0;
        if (place->begin < 0 || known - 8 < place->begin) continue;
        const struct beginning image = {place->known + place->begin, known - place->begin,
                                        place->end - place->begin};
        if (image.data[0] == 0xFF && image.data[1] == SOI) {
            codes[i] = ordinary_jpeg(image);
            if (!codes[i]) codes[i] = any_jpeg(image);
        } else if (memcmp(image.data, PNG_SIGNATURE, sizeof PNG_SIGNATURE) == 0) {
            codes[i] = any_png(image);
        }
    }
}
