// Runs the native module's functions for whole batches on cases from a file, for sanitizers: every
// array in memory of its own, of exactly the size that it has.
//
// A case is struct batch, its arrays of int64, and its data. Writes what the functions return (int64)
// and what they make to the standard output. The second argument is the
// file that is read.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kernels/native/native.h"

enum { READ, PHILOX, CROPS, JOIN, RECORDS };

struct batch {
    int64_t kind, count;      // which function, and the rows of its arrays
    int64_t first, size;      // its numbers
    int64_t columns, length;  // of all arrays together, and bytes of data
    struct gpuio_crop crop;
    int32_t bordered, file;  // make the rows of a border; there is a file
};

static void* allocate(size_t size) {
    void* memory = malloc(size ? size : 1);
    if (memory == NULL) abort();
    return memory;
}

static void* read_memory(FILE* cases, size_t size) {
    void* memory = allocate(size);
    if (fread(memory, 1, size, cases) != size) abort();
    return memory;
}

// Write memory, and free it.
static void put(void* memory, size_t size) {
    if (fwrite(memory, 1, size, stdout) != size) abort();
    free(memory);
}

static void put_number(int64_t number) {
    if (fwrite(&number, sizeof number, 1, stdout) != 1) abort();
}

static void run(const struct batch* batch, int64_t* columns[6], uint8_t* data, int file) {
    const size_t count = (size_t)batch->count, words = count * sizeof(int64_t);
    if (batch->kind == READ) {
        put_number(gpuio_native_read(file, columns[0], columns[1], columns[2], batch->count, data));
    } else if (batch->kind == PHILOX) {
        const size_t size = 4 * words * (size_t)batch->size;
        uint64_t* drawn = allocate(size);
        gpuio_native_philox((uint64_t)batch->first, columns[0], columns[1], batch->count, 1 << 16,
                            (uint32_t)batch->size, drawn);
        put(drawn, size);
    } else if (batch->kind == CROPS) {
        const struct gpuio_crops crops = {
            .window = allocate(4 * words),
            .bounds = allocate(4 * words),
            .method = allocate(words),
            .flip = allocate(count),
            .inside = batch->bordered ? allocate(4 * words) : NULL,
            .padded = allocate(2 * words),
            .largest = allocate(2 * words),
        };
        int64_t* sizes = allocate(2 * words);
        for (size_t row = 0; row < count; ++row) {
            sizes[2 * row] = columns[0][row];
            sizes[2 * row + 1] = columns[1][row];
        }
        const int32_t planned = gpuio_native_crops(&batch->crop, (uint64_t)batch->first, sizes,
                                                   columns[2], columns[3], batch->count, &crops);
        put_number(planned);
        void* const made[] = {crops.window, crops.bounds, crops.method, crops.padded,
                              crops.largest};
        static const size_t WIDTHS[] = {4, 4, 1, 2, 2};
        for (int i = 0; i < 5; ++i) put(made[i], planned ? WIDTHS[i] * words : 0);
        put(crops.flip, planned ? count : 0);
        free(crops.inside);
        free(sizes);
    } else if (batch->kind == JOIN) {
        int64_t* joined = allocate(6 * words);
        put_number(gpuio_native_join(columns[0], columns[1], batch->count, batch->first, joined));
        put(joined, 4 * words);
    } else {
        const struct gpuio_records records = {
            .places = allocate(count * sizeof(struct gpuio_place)),
            .labels = allocate(count * sizeof(float)),
            .flags = allocate(count * sizeof(uint32_t)),
            .ids = allocate(words),
            .whole = allocate(count),
        };
        put_number(gpuio_native_records(data, columns[0], columns[1], columns[2], batch->count,
                                        batch->size, batch->file ? file : -1, &records));
        put(records.ids, words);
        put(records.whole, count);
        free(records.places);
        free(records.labels);
        free(records.flags);
    }
}

int main(int count, char** arguments) {
    FILE* cases = count == 3 ? fopen(arguments[1], "rb") : NULL;
    const int file = count == 3 ? open(arguments[2], O_RDONLY) : -1;
    if (cases == NULL || file < 0) abort();
    struct batch batch;
    while (fread(&batch, sizeof batch, 1, cases) == 1) {
        int64_t* columns[6] = {NULL};
        if (batch.columns > 6) abort();
        for (int64_t i = 0; i < batch.columns; ++i)
            columns[i] = read_memory(cases, (size_t)batch.count * sizeof(int64_t));
        uint8_t* data = read_memory(cases, (size_t)batch.length);
        run(&batch, columns, data, file);
        for (int i = 0; i < 6; ++i) free(columns[i]);
        put(data, batch.kind == READ ? (size_t)batch.length : 0);
    }
    fclose(cases);
    return 0;
}
