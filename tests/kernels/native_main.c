// Runs the native module on cases from a file, for sanitizers: every case in memory of its own, of
// exactly the size that it has.
//
// A case is struct gpuio_output, struct gpuio_sample, the size of the image (int64), and the image.
// With a file in the place of -1, the image is the record of that file that begins there. Prints the
// number of samples that were made, and of all. Their headers are read, too.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kernels/native/native.h"

static void* copy(const void* from, size_t size) {
    void* to = malloc(size ? size : 1);
    if (to == NULL) abort();
    if (size) memcpy(to, from, size);
    return to;
}

// The header of an image, of which only the beginning is in memory.
static void read_header(struct gpuio_place place, size_t known) {
    uint8_t* beginning = copy(place.known, known);
    uint64_t code = 1;
    place.known = beginning;
    place.known_size = (int64_t)known;
    gpuio_native_headers(&place, 1, &code);
    free(beginning);
}

static int run(struct gpuio_workspace* workspace, FILE* cases) {
    struct gpuio_output output;
    struct gpuio_sample sample;
    int64_t size;
    if (fread(&output, sizeof output, 1, cases) != 1) return -1;
    if (fread(&sample, sizeof sample, 1, cases) != 1 || fread(&size, sizeof size, 1, cases) != 1)
        abort();
    static uint8_t content[1 << 20];
    if (size < 0 || (size_t)size > sizeof content) abort();
    if (fread(content, 1, (size_t)size, cases) != (size_t)size) abort();
    static const size_t BYTES[] = {4, 2, 1, 1};
    const size_t bytes = BYTES[output.type];
    uint8_t* image = copy(content, (size_t)size);
    void* table =
        output.type == GPUIO_FLOAT32 ? NULL : calloc((size_t)output.channels * 256, bytes);
    uint8_t* batch =
        malloc((size_t)output.width * (size_t)output.height * (size_t)output.channels * bytes);
    output.table = table;
    sample.place.known = image;
    if (sample.place.known_size < 0 || sample.place.known_size > size)
        sample.place.known_size = size;
    sample.row = 0;
    const size_t known = (size_t)sample.place.known_size;
    for (size_t part = 1; part <= 4; ++part) read_header(sample.place, known * part / 4);
    const int made = (int)gpuio_native_render(workspace, &output, &sample, 1, batch);
    if (made != (sample.status == GPUIO_MADE)) abort();
    free(image);
    free(table);
    free(batch);
    return made;
}

int main(int count, char** arguments) {
    FILE* cases = count == 2 ? fopen(arguments[1], "rb") : NULL;
    struct gpuio_workspace* workspace = gpuio_native_new();
    if (cases == NULL || workspace == NULL) abort();
    long made = 0, all = 0;
    for (int one; (one = run(workspace, cases)) >= 0; ++all) made += one;
    printf("%ld %ld\n", made, all);
    gpuio_native_free(workspace);
    fclose(cases);
    return 0;
}
