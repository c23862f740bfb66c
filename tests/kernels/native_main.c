// Runs the native module on cases from a file, for sanitizers: every case in memory of its own, of
// exactly the size that it has.
//
// A case is struct gpuio_output, struct gpuio_sample, struct row, the size of the image (int64), and
// the image. With `operations` set, so many of them follow. With a file in the place of -1, the image
// is the record of that file that begins there. The sample is made, its header is read, and what is
// selected of the row of a plan is made, too. Prints the number of samples that were made, of those
// that were selected, and of all.

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

// The row of a plan.
struct row {
    double window[4], light[2];
    int64_t bounds[4], inside[4], method;
    uint64_t code;
    uint8_t fill[4];
    int32_t antialias, dct_scaling, is_lit, has_border;
    uint8_t flip;
};

// Select the row, and make it; whether it was selected.
static int select_row(struct gpuio_workspace* workspace, const struct gpuio_output* output,
                      const struct row* row, struct gpuio_place place, void* batch) {
    const struct gpuio_plan plan = {
        .window = copy(row->window, sizeof row->window),
        .bounds = copy(row->bounds, sizeof row->bounds),
        .method = copy(&row->method, sizeof row->method),
        .flip = copy(&row->flip, 1),
        .light = row->is_lit ? copy(row->light, sizeof row->light) : NULL,
        .inside = row->has_border ? copy(row->inside, sizeof row->inside) : NULL,
        .fill = row->has_border ? copy(row->fill, (size_t)output->channels) : NULL,
        .codes = copy(&row->code, sizeof row->code),
        .places = copy(&place, sizeof place),
        .count = 1,
        .fill_width = output->channels,
        .width = output->width,
        .height = output->height,
        .channels = output->channels,
        .antialias = row->antialias,
        .dct_scaling = row->dct_scaling,
    };
    struct gpuio_sample* sample = malloc(sizeof *sample);
    double* pixels = malloc(sizeof *pixels);
    const int found = (int)gpuio_native_select(&plan, sample, pixels);
    if (found) {
        if (sample->row != 0 || *pixels != (double)sample->width * sample->height) abort();
        gpuio_native_render(workspace, output, sample, 1, batch);
    }
    const void* const arrays[] = {plan.window, plan.bounds, plan.method, plan.flip,
                                  plan.light,  plan.inside, plan.fill,   plan.codes,
                                  plan.places, sample,      pixels};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i) free((void*)arrays[i]);
    return found;
}

static int run(struct gpuio_workspace* workspace, FILE* cases, long* selected) {
    struct gpuio_output output;
    struct gpuio_sample sample;
    struct row row;
    int64_t size;
    if (fread(&output, sizeof output, 1, cases) != 1) return -1;
    if (fread(&sample, sizeof sample, 1, cases) != 1 || fread(&row, sizeof row, 1, cases) != 1 ||
        fread(&size, sizeof size, 1, cases) != 1)
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
    struct gpuio_operation* operations = NULL;
    if (sample.operations != NULL) {
        const size_t number = (size_t)sample.operation_count;
        operations = malloc(number * sizeof *operations);
        if (operations == NULL || fread(operations, sizeof *operations, number, cases) != number)
            abort();
        sample.operations = operations;
    }
    sample.place.known = image;
    if (sample.place.known_size < 0 || sample.place.known_size > size)
        sample.place.known_size = size;
    sample.row = 0;
    const size_t known = (size_t)sample.place.known_size;
    for (size_t part = 1; part <= 4; ++part) read_header(sample.place, known * part / 4);
    const int made = (int)gpuio_native_render(workspace, &output, &sample, 1, batch);
    if (made != (sample.status == GPUIO_MADE)) abort();
    *selected += select_row(workspace, &output, &row, sample.place, batch);
    free(image);
    free(table);
    free(operations);
    free(batch);
    return made;
}

int main(int count, char** arguments) {
    FILE* cases = count == 2 ? fopen(arguments[1], "rb") : NULL;
    struct gpuio_workspace* workspace = gpuio_native_new();
    if (cases == NULL || workspace == NULL) abort();
    long made = 0, selected = 0, all = 0;
    for (int one; (one = run(workspace, cases, &selected)) >= 0; ++all) made += one;
    printf("%ld %ld %ld\n", made, selected, all);
    gpuio_native_free(workspace);
    fclose(cases);
    return 0;
}
