// Segment files of the cache of remote files: pages that are about to be fetched, and have been.
//
// Oracle  `_Filling` in gpuio/storage/remote/filling.py, with `Segment` and the locks beside it.

#define _GNU_SOURCE  // locks of open file descriptions

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

// Bytes of a footer that are compared, at most, and states that are read or written at a time.
#define LONGEST_FOOTER 256
#define STATES 4096

// A page's state; see segment.py.
enum { MISSING, WRITTEN };

#ifdef F_OFD_SETLK
static int lock(int file, short type, int64_t begin, int64_t end) {
    struct flock range = {0};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = (off_t)begin;
    range.l_len = (off_t)(end - begin);
    return fcntl(file, F_OFD_SETLK, &range) == 0;
}
#else
#define F_WRLCK 0
#define F_UNLCK 0
static int lock(int file, short type, int64_t begin, int64_t end) {
    (void)file, (void)type, (void)begin, (void)end;
    return 0;
}
#endif

// Whether a file is a segment of this user, with this footer at its end.
static int is_segment(int file, const uint8_t* footer, int64_t size, int64_t at) {
    struct stat status;
    uint8_t found[LONGEST_FOOTER];
    if (size > LONGEST_FOOTER || fstat(file, &status) != 0) return 0;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) return 0;
    if ((int64_t)status.st_size != at + size) return 0;
    return read_fully(file, found, at, at + size) && memcmp(found, footer, (size_t)size) == 0;
}

// Whether no page is there whose state is from `begin` to before `end` in the file.
static int is_missing(int file, int64_t begin, int64_t end) {
    uint8_t states[STATES];
    for (; begin < end; begin += STATES) {
        const int64_t some = end - begin < STATES ? end - begin : STATES;
        if (!read_fully(file, states, begin, begin + some)) return 0;
        for (int64_t i = 0; i < some; ++i)
            if (states[i] != MISSING) return 0;
    }
    return 1;
}

// Write bytes; the error's number, 0 if all are written.
static int write_fully(int file, const uint8_t* from, int64_t size, int64_t at) {
    while (size > 0) {
        const ssize_t put = pwrite(file, from, (size_t)size, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return put < 0 ? errno : EIO;
        from += put;
        size -= put;
        at += put;
    }
    return 0;
}

int32_t gpuio_native_claim(const char* path, const uint8_t* footer, int64_t footer_size,
                           int64_t footer_at, int64_t states_at, int64_t first, int64_t last) {
    // O_NONBLOCK: a named pipe in its place is not waited for.
    const int file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return -1;
    if (is_segment(file, footer, footer_size, footer_at) && lock(file, F_WRLCK, first, last)) {
        if (is_missing(file, states_at + first, states_at + last)) return file;
        lock(file, F_UNLCK, first, last);  // a forked process may have the file by now
    }
    close(file);
    return -1;
}

int32_t gpuio_native_fill(int32_t file, int64_t first, int64_t last, int64_t states_at,
                          const uint8_t* data, int64_t size, int64_t at) {
    uint8_t states[STATES];
    memset(states, WRITTEN, sizeof states);
    int error = write_fully(file, data, size, at);
    for (int64_t page = first; page < last && !error; page += STATES) {
        const int64_t some = last - page < STATES ? last - page : STATES;
        error = write_fully(file, states, some, states_at + page);
    }
    lock(file, F_UNLCK, first, last);  // as above
    close(file);
    return error;
}
