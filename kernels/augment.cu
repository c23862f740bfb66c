// augment: operations on the pixels of uint8 samples, one after another: what RandAugment and its
// like are made of.
//
// In     pixels      uint8 (M, H, W, C), dense, C = 1, 3 or 4 in the order R, G, B, A
//        operations  Operation (M, K): code and numbers, see gpuio/planning/operations.py. With C = 4
//                    there are warps and erasing alone
// Out    out         uint8 (M, H, W, C), dense: the samples after all of their operations
//        other       uint8 (M, H, W, C), scratch memory; not read before it is written
//
// Integers are exact: maps in units of 2^-32, interpolation with weights of 16 bits, histograms, and
// sums, so that no result depends on the order of threads. Everything else is float32 (the mean gray
// first float64), each operation rounded to nearest and none fused.
//
// Threads  One block makes one sample, in a grid of any size: blockIdx.x strides over samples, and
//          the threads over pixels. blockDim.x is a multiple of 32 up to 256. At most 128 registers, so
//          that two blocks are resident on a multiprocessor. All threads of a block
//          take the same branches but for pixels, so that they meet at each barrier. Shared memory:
//          histograms and tables of 4 channels, 5 KiB.
// Memory   Each operation that changes something reads the sample and writes it: to `out` or
//          `other` in turns, so that the last one writes `out`. A sample without any is copied.
// Align    operations to 8 bytes, all others to 1.
// Bounds   H*W < 2^31, and the numbers of maps and rectangles are those of gpuio's own plans; maps
//          may lead outside. All bytes of out are written, and nothing else but `other`. No two of
//          the arrays overlap.
// Twin     operate_batch in gpuio/execution/operations.py.

#include "arithmetic.h"
#include "native/operation_codes.h"

struct Operation {
    int code;
    unsigned char fill[4];
    double values[6];
};

typedef unsigned char Byte;

constexpr int VALUES = 256, MOST_CHANNELS = 4;

struct Image {
    const Byte* pixels;
    int width, height, channels;
};

// The numbers of an operation, as its pixels need them.
struct Numbers {
    long long map[6];  // or a rectangle: x0, y0, x1, y1
    float factor, rest;
    const Byte* fill;
};

__device__ __forceinline__ float clip(float value, float highest) {
    return fminf(fmaxf(value, 0.0f), highest);
}

__device__ __forceinline__ Byte truncated(float value) {
    return (Byte)(int)clip(value, 255.0f);
}

__device__ __forceinline__ int gray_of(const Byte* pixel, int channels) {
    if (channels == 1) return pixel[0];
    return (2989 * pixel[0] + 5870 * pixel[1] + 1140 * pixel[2]) / 10000;
}

// Whether a pixel's new values depend on its old ones alone, each by itself.
__device__ __forceinline__ bool has_table(int code) {
    return code == BRIGHTNESS || code == CONTRAST || code == POSTERIZE || code == SOLARIZE ||
           code == INVERT || code == AUTOCONTRAST || code == EQUALIZE;
}

// Whether an operation changes images of so many channels.
__device__ __forceinline__ bool is_active(int code, int channels) {
    return code != IDENTITY && !(channels == 1 && (code == SATURATION || code == HUE));
}

// What becomes of one value of one channel.
__device__ __forceinline__ Byte look_up(const Operation& operation, int value,
                                        const unsigned* counts, unsigned long long gray,
                                        double size) {
    const float v = (float)value;
    const float factor = to_float(operation.values[0]), rest = to_float(operation.values[1]);
    switch (operation.code) {
        case BRIGHTNESS:
            return truncated(multiply(v, factor));
        case CONTRAST: {
            const float mean = to_float(divide((double)gray, size));
            return truncated(add(multiply(v, factor), multiply(rest, mean)));
        }
        case POSTERIZE:
            return (Byte)(value & (int)operation.values[0]);
        case SOLARIZE:
            return (Byte)(v >= factor ? VALUES - 1 - value : value);
        case INVERT:
            return (Byte)(VALUES - 1 - value);
        default:
            break;
    }
    int low = 0, high = VALUES - 1;
    while (high > 0 && !counts[high]) --high;
    if (operation.code == AUTOCONTRAST) {
        while (low < VALUES - 1 && !counts[low]) ++low;
        if (high <= low) return (Byte)value;
        const float scale = multiply((float)(high - low), 1.0f / 255.0f);
        return truncated(divide((float)(value - low), scale));
    }
    const unsigned step = ((unsigned)size - counts[high]) / 255;
    if (!step) return (Byte)value;
    unsigned below = 0;
    for (int other = 0; other < value; ++other) below += counts[other];
    const unsigned share = (below + step / 2) / step;
    return (Byte)(share > 255 ? 255 : share);
}

__device__ __forceinline__ const Byte* pixel_or(const Image& image, long long x, long long y,
                                                const Byte* fill) {
    return x >= 0 && x < image.width && y >= 0 && y < image.height
               ? image.pixels + (y * image.width + x) * image.channels
               : fill;
}

__device__ __forceinline__ void warp_nearest(Byte* to, const Image& image, const Numbers& numbers,
                                             int column, int row) {
    const long long* map = numbers.map;
    const long long x = map[0] * column + map[1] * row + map[2];
    const long long y = map[3] * column + map[4] * row + map[5];
    const Byte* from = pixel_or(image, x >> FRACTION, y >> FRACTION, numbers.fill);
    for (int c = 0; c < image.channels; ++c) to[c] = from[c];
}

__device__ __forceinline__ void warp_bilinear(Byte* to, const Image& image, const Numbers& numbers,
                                              int column, int row) {
    const long long* map = numbers.map;
    const long long half = 1ll << (FRACTION - 1);
    const long long x = map[0] * column + map[1] * row + map[2] - half;
    const long long y = map[3] * column + map[4] * row + map[5] - half;
    const unsigned long long one = 1ull << WEIGHT;
    const unsigned long long across = (x >> (FRACTION - WEIGHT)) & (one - 1);
    const unsigned long long down = (y >> (FRACTION - WEIGHT)) & (one - 1);
    const Byte* corners[4];
    for (int k = 0; k < 4; ++k)
        corners[k] =
            pixel_or(image, (x >> FRACTION) + (k & 1), (y >> FRACTION) + (k >> 1), numbers.fill);
    for (int c = 0; c < image.channels; ++c) {
        const unsigned long long upper = corners[0][c] * (one - across) + corners[1][c] * across;
        const unsigned long long lower = corners[2][c] * (one - across) + corners[3][c] * across;
        const unsigned long long total = upper * (one - down) + lower * down;
        to[c] = (Byte)((total + (1ull << (2 * WEIGHT - 1))) >> (2 * WEIGHT));
    }
}

__device__ __forceinline__ void saturate(Byte* to, const Byte* from, const Numbers& numbers) {
    const float gray = multiply(numbers.rest, (float)gray_of(from, 3));
    for (int c = 0; c < 3; ++c)
        to[c] = truncated(add(multiply((float)from[c], numbers.factor), gray));
}

__device__ __forceinline__ void turn_hue(Byte* to, const Byte* from, float turn) {
    const float unit = 1.0f / 255.0f;
    const float red = multiply((float)from[0], unit), green = multiply((float)from[1], unit);
    const float blue = multiply((float)from[2], unit);
    const float high = fmaxf(red, fmaxf(green, blue)), low = fminf(red, fminf(green, blue));
    const float chroma = subtract(high, low);
    const float saturation = divide(chroma, chroma > 0.0f ? high : 1.0f);
    const float divisor = chroma > 0.0f ? chroma : 1.0f;
    const float rc = divide(subtract(high, red), divisor);
    const float gc = divide(subtract(high, green), divisor);
    const float bc = divide(subtract(high, blue), divisor);
    float hue = high == red     ? subtract(bc, gc)
                : high == green ? subtract(add(rc, 2.0f), bc)
                                : subtract(add(gc, 4.0f), rc);
    hue = add(multiply(hue, 1.0f / 6.0f), 1.0f);
    hue = add(hue >= 1.0f ? subtract(hue, 1.0f) : hue, turn);
    hue = hue < 0.0f ? add(hue, 1.0f) : hue >= 1.0f ? subtract(hue, 1.0f) : hue;
    const float sixths = multiply(hue, 6.0f);
    const int whole = (int)sixths, sector = whole >= 6 ? whole - 6 : whole;
    const float part = multiply(saturation, subtract(sixths, (float)whole));
    const float gray = subtract(1.0f, saturation);
    const float p = clip(multiply(gray, high), 1.0f);
    const float q = clip(multiply(subtract(1.0f, part), high), 1.0f);
    const float t = clip(multiply(add(part, gray), high), 1.0f);
    const float r = sector == 1 ? q : sector == 2 || sector == 3 ? p : sector == 4 ? t : high;
    const float g = sector == 0 ? t : sector == 1 || sector == 2 ? high : sector == 3 ? q : p;
    const float b = sector < 2 ? p : sector == 2 ? t : sector == 5 ? q : high;
    to[0] = (Byte)(int)multiply(r, 255.999f);
    to[1] = (Byte)(int)multiply(g, 255.999f);
    to[2] = (Byte)(int)multiply(b, 255.999f);
}

__device__ __forceinline__ void sharpen(Byte* to, const Image& image, const Byte* from,
                                        const Numbers& numbers, int column, int row) {
    const int width = image.width, channels = image.channels;
    if (column < 1 || row < 1 || column >= width - 1 || row >= image.height - 1) {
        for (int c = 0; c < channels; ++c) to[c] = from[c];
        return;
    }
    const long long stride = (long long)width * channels;
    for (int c = 0; c < channels; ++c) {
        const int middle = from[c];
        int total = 4 * middle;
        for (int y = -1; y <= 1; ++y)
            for (int x = -1; x <= 1; ++x) total += from[y * stride + x * channels + c];
        const float difference = (float)((total + 6) / 13 - middle);  // 13 has no half
        to[c] = truncated(add((float)middle, multiply(numbers.rest, difference)));
    }
}

__device__ __forceinline__ void erase(Byte* to, const Byte* from, int channels,
                                      const Numbers& numbers, int column, int row) {
    const long long* box = numbers.map;
    const bool inside = column >= box[0] && column < box[2] && row >= box[1] && row < box[3];
    for (int c = 0; c < channels; ++c) to[c] = inside ? numbers.fill[c] : from[c];
}

// Statistics of a sample: histograms of its channels, or the sum of its grays.
__device__ __forceinline__ void measure(const Image& image, int code, unsigned* counts,
                                        unsigned long long* gray) {
    const int size = image.width * image.height;
    unsigned long long partial = 0;
    for (int at = threadIdx.x; at < size; at += blockDim.x) {
        const Byte* pixel = image.pixels + (long long)at * image.channels;
        if (code == CONTRAST)
            partial += gray_of(pixel, image.channels);
        else
            for (int c = 0; c < image.channels; ++c) atomicAdd(&counts[c * VALUES + pixel[c]], 1u);
    }
    if (code == CONTRAST) atomicAdd(gray, partial);
}

__device__ __forceinline__ void operate(Byte* to, const Image& image, const Operation& operation,
                                        const Byte* table) {
    Numbers numbers;
    for (int k = 0; k < 6; ++k) numbers.map[k] = (long long)operation.values[k];
    numbers.factor = to_float(operation.values[0]);
    numbers.rest = to_float(operation.values[1]);
    numbers.fill = operation.fill;
    const int code = operation.code, channels = image.channels, size = image.width * image.height;
    for (int at = threadIdx.x; at < size; at += blockDim.x) {
        const Byte* from = image.pixels + (long long)at * channels;
        Byte* pixel = to + (long long)at * channels;
        const int row = at / image.width, column = at - row * image.width;
        if (has_table(code))
            for (int c = 0; c < channels; ++c) pixel[c] = table[c * VALUES + from[c]];
        else if (code == WARP_NEAREST)
            warp_nearest(pixel, image, numbers, column, row);
        else if (code == WARP_BILINEAR)
            warp_bilinear(pixel, image, numbers, column, row);
        else if (code == SATURATION)
            saturate(pixel, from, numbers);
        else if (code == HUE)
            turn_hue(pixel, from, numbers.factor);
        else if (code == SHARPNESS)
            sharpen(pixel, image, from, numbers, column, row);
        else
            erase(pixel, from, channels, numbers, column, row);
    }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    augment(unsigned char* out, unsigned char* other, const unsigned char* pixels,
            const Operation* operations, long long count, int steps, int height, int width,
            int channels) {
    __shared__ unsigned counts[1024];
    __shared__ unsigned char table[1024];
    __shared__ unsigned long long gray;
    const long long bytes = (long long)height * width * channels;

    for (long long n = blockIdx.x; n < count; n += gridDim.x) {
        const Operation* own = operations + n * steps;
        int left = 0;
        for (int k = 0; k < steps; ++k) left += is_active(own[k].code, channels);
        if (!left)
            for (long long at = threadIdx.x; at < bytes; at += blockDim.x)
                out[n * bytes + at] = pixels[n * bytes + at];
        Image image = {pixels + n * bytes, width, height, channels};
        for (int k = 0; k < steps; ++k) {
            const Operation& operation = own[k];
            const int code = operation.code;
            if (!is_active(code, channels)) continue;
            if (has_table(code)) {
                for (int at = threadIdx.x; at < MOST_CHANNELS * VALUES; at += blockDim.x)
                    counts[at] = 0;
                if (threadIdx.x == 0) gray = 0;
                __syncthreads();
                if (code == CONTRAST || code == AUTOCONTRAST || code == EQUALIZE)
                    measure(image, code, counts, &gray);
                __syncthreads();
                for (int at = threadIdx.x; at < channels * VALUES; at += blockDim.x)
                    table[at] = look_up(operation, at % VALUES, counts + at / VALUES * VALUES, gray,
                                        (double)((long long)height * width));
                __syncthreads();
            }
            Byte* to = (--left % 2 ? other : out) + n * bytes;
            operate(to, image, operation, table);
            image.pixels = to;
            __syncthreads();  // the sample is complete, and the table may be written again
        }
    }
}
