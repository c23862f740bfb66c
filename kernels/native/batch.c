// What is done for whole batches: reading parts of files, and random numbers.

#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64  // record files may have more than 2 GiB

#include <errno.h>
#include <unistd.h>

#include "internal.h"

int read_fully(int file, uint8_t* to, int64_t begin, int64_t end) {
    while (begin < end) {
        const ssize_t got = pread(file, to, (size_t)(end - begin), (off_t)begin);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        begin += got;
        to += got;
    }
    return 1;
}

int32_t gpuio_native_read(int32_t file, const int64_t* begins, const int64_t* ends,
                          const int64_t* places, int64_t count, uint8_t* to) {
    for (int64_t i = 0; i < count; ++i)
        if (!read_fully(file, to + places[i], begins[i], ends[i])) return 0;
    return 1;
}

void philox(uint64_t seed, int64_t epoch, int64_t record, uint32_t block, uint64_t words[4]) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)record, c1 = (uint32_t)((uint64_t)record >> 32);
    uint32_t c2 = (uint32_t)epoch, c3 = block;
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = (uint64_t)c0 * 0xD2511F53, p1 = (uint64_t)c2 * 0xCD9E8D57;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c3 = (uint32_t)p0;
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

void gpuio_native_philox(uint64_t seed, const int64_t* epoch, const int64_t* record, int64_t count,
                         uint32_t first, uint32_t blocks, uint64_t* words) {
    for (int64_t i = 0; i < count; ++i)
        for (uint32_t block = 0; block < blocks; ++block, words += 4)
            philox(seed, epoch[i], record[i], first + block, words);
}
