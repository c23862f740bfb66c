// Records of a file: which parts of it are read together, and what the records' headers say.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

// Of gpuio/recordio/framing.py and header.py there.
#define MAGIC 0xCED7230A
enum { WHOLE, FIRST };
enum { PART_BYTES = 8, HEADER_BYTES = 24, HEAD_BYTES = PART_BYTES + HEADER_BYTES };

// How a record begins.
struct head {
    uint32_t magic, part, flag;
    float label;
    uint64_t id, id2;
};

// A part of a file: where it begins, and its number.
struct part {
    int64_t begin, number;
};

static int compare_parts(const void* one, const void* other) {
    const struct part *a = one, *b = other;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

int64_t gpuio_native_join(const int64_t* begins, const int64_t* ends, int64_t count, int64_t gap,
                          int64_t* joined) {
    int64_t *at = joined, *until = at + count, *begin_of = until + count,
            *places = begin_of + count;
    struct part* parts = (struct part*)(void*)(places + count);
    int is_ascending = 1;
    for (int64_t i = 0; i < count; ++i) {
        parts[i] = (struct part){begins[i], i};
        is_ascending &= i == 0 || begins[i - 1] <= begins[i];
    }
    if (!is_ascending) qsort(parts, (size_t)count, sizeof *parts, compare_parts);
    int64_t found = 0, size = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t begin = parts[i].begin, end = ends[parts[i].number];
        if (found == 0 || begin > until[found - 1] + gap) {
            if (found) size += (until[found - 1] - at[found - 1] + 7) / 8 * 8;
            at[found] = begin;
            until[found] = end;
            begin_of[found++] = size;
        } else if (end > until[found - 1]) {
            until[found - 1] = end;
        }
        places[parts[i].number] = begin + begin_of[found - 1] - at[found - 1];
    }
    return found;
}

int64_t gpuio_native_records(const uint8_t* data, const int64_t* begins, const int64_t* known,
                             const int64_t* starts, int64_t count, int64_t size, int32_t file,
                             const struct gpuio_records* records) {
    int64_t plain = 0;
    for (int64_t i = 0; i < count; ++i) {
        struct head head = {0};
        if (known[i] >= HEAD_BYTES) memcpy(&head, data + begins[i], sizeof head);
        const int64_t kind = head.part >> 29, length = head.part & ((1 << 29) - 1);
        const int64_t label = 4 * (int64_t)head.flag, end = PART_BYTES + length;
        const int intact = head.magic == MAGIC && kind == WHOLE && HEADER_BYTES + label <= length &&
                           PART_BYTES + (length + 3) / 4 * 4 <= size - starts[i];
        const int has_label = HEAD_BYTES + label <= known[i], in_memory = end <= known[i];
        const int whole = intact && has_label && (in_memory || file >= 0);
        records->whole[i] = (uint8_t)whole;
        records->flags[i] = head.flag;
        records->labels[i] = head.label;
        records->ids[i] = whole ? head.id : 0;
        struct gpuio_place* place = &records->places[i];
        memset(place, 0, sizeof *place);
        if (!whole) continue;
        plain += head.flag == 0;
        *place = (struct gpuio_place){
            .known = data + begins[i],
            .known_size = known[i],
            .start = starts[i],
            .begin = HEAD_BYTES + label,
            .end = end,
            .file = in_memory ? -1 : file,
        };
    }
    return plain;
}
