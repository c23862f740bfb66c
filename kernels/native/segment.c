// Segment files of the cache of remote files: pages that are about to be fetched, and have been.
//
// Oracle  `_Filling` in gpuio/storage/remote/filling.py, `CachedObject.read` in cached_object.py, with
//         `Segment` and the locks beside them.

#define _GNU_SOURCE  // locks of open file descriptions

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

// States that are read or written at a time.
#define STATES 4096

// Seconds after which reading a segment updates the time of its last use.
#define TOUCH_AFTER 60

// A page's state; see segment.py.
enum { MISSING, WRITTEN, DURABLE };

#define FOOTER_BYTES ((int64_t)sizeof(struct gpuio_footer))
_Static_assert(sizeof(struct gpuio_footer) == 80, "it is in files");

// Where the states of a segment begin in its file, and the footer.
static int64_t states_at(const struct gpuio_footer* footer) {
    return (footer->nbytes + footer->page - 1) / footer->page * footer->page;
}

static int64_t footer_at(const struct gpuio_footer* footer) {
    return states_at(footer) + (footer->nbytes + footer->page - 1) / footer->page;
}

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

// Whether a file is a segment of this user, with this footer at its end; which boot it names is told
// apart, unless `same_boot` is null: then it must be this one.
static int is_segment(int file, const struct gpuio_footer* footer, int* same_boot,
                      struct stat* status) {
    struct gpuio_footer found;
    const int64_t at = footer_at(footer);
    if (fstat(file, status) != 0 || !S_ISREG(status->st_mode)) return 0;
    if (status->st_uid != geteuid() || (int64_t)status->st_size != at + FOOTER_BYTES) return 0;
    if (!read_fully(file, (uint8_t*)&found, at, at + FOOTER_BYTES)) return 0;
    if (same_boot != NULL) {
        *same_boot = memcmp(found.boot, footer->boot, sizeof found.boot) == 0;
        memcpy(found.boot, footer->boot, sizeof found.boot);
    }
    return memcmp(&found, footer, sizeof found) == 0;
}

// Whether a page with this state is there. Without `same_boot`, it must be durable.
static int is_present(uint8_t state, int same_boot) {
    return state != MISSING && (same_boot || state != WRITTEN);
}

// Read states, from `begin` to before `end` in the file: how many of them say that a page is there;
// -1: they cannot be read.
static int64_t count_present(int file, int64_t begin, int64_t end, int same_boot) {
    uint8_t states[STATES];
    int64_t count = 0;
    for (; begin < end; begin += STATES) {
        const int64_t some = end - begin < STATES ? end - begin : STATES;
        if (!read_fully(file, states, begin, begin + some)) return -1;
        for (int64_t i = 0; i < some; ++i) count += is_present(states[i], same_boot);
    }
    return count;
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

int32_t gpuio_native_claim(const char* path, const struct gpuio_footer* footer, int64_t first,
                           int64_t last) {
    // O_NONBLOCK: a named pipe in its place is not waited for.
    const int file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (file < 0) return -1;
    if (is_segment(file, footer, NULL, &status) && lock(file, F_WRLCK, first, last)) {
        const int64_t at = states_at(footer);
        if (count_present(file, at + first, at + last, 1) == 0) return file;
        lock(file, F_UNLCK, first, last);  // a forked process may have the file by now
    }
    close(file);
    return -1;
}

int32_t gpuio_native_fill(int32_t file, const struct gpuio_footer* footer, int64_t first,
                          int64_t last, const uint8_t* data, int64_t size) {
    uint8_t states[STATES];
    memset(states, WRITTEN, sizeof states);
    int error = write_fully(file, data, size, first * footer->page);
    for (int64_t page = first; page < last && !error; page += STATES) {
        const int64_t some = last - page < STATES ? last - page : STATES;
        error = write_fully(file, states, some, states_at(footer) + page);
    }
    lock(file, F_UNLCK, first, last);  // as above
    close(file);
    return error;
}

// Open a segment for reading: the descriptor; -1: there is none; -2: it is something else.
static int open_segment(const char* folder, const struct gpuio_footer* footer, int* same_boot) {
    char path[4096];
    struct stat status;
    const int length =
        snprintf(path, sizeof path, "%s/%lld.segment", folder, (long long)footer->number);
    if (length < 0 || (size_t)length >= sizeof path) return -2;
    const int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return errno == ENOENT ? -1 : -2;
    if (!is_segment(file, footer, same_boot, &status)) {
        close(file);
        return -2;
    }
    if (time(NULL) - status.st_mtime > TOUCH_AFTER) futimens(file, NULL);
    return file;
}

// A range within a segment, and where it is read to; null: nowhere.
struct range {
    int64_t begin, end;
    uint8_t* to;
};

// Read the pages from begin to `from` and from `until` to the end of a range, and leave them out of it.
static int trim(int file, int64_t from, int64_t until, struct range* range) {
    if (range->to != NULL) {
        uint8_t* const after = range->to + (until - range->begin);
        if (from > range->begin && !read_fully(file, range->to, range->begin, from)) return 0;
        if (until < range->end && !read_fully(file, after, until, range->end)) return 0;
        range->to += from - range->begin;
    }
    range->begin = from;
    range->end = until;
    return 1;
}

static uint8_t find(int file, const struct gpuio_footer* footer, int same_boot,
                    struct range* range) {
    uint8_t states[STATES];
    if (file < 0) return file == -1 ? GPUIO_ABSENT : GPUIO_UNCLEAR;
    const int64_t first = range->begin / footer->page;
    const int64_t last = (range->end + footer->page - 1) / footer->page, pages = last - first;
    const int64_t at = states_at(footer) + first;
    int64_t head = 0, tail = pages;  // the first page that is missing, and the one after the last
    if (pages <= STATES) {
        if (!read_fully(file, states, at, at + pages)) return GPUIO_UNCLEAR;
        while (head < pages && is_present(states[head], same_boot)) ++head;
        while (tail > head && is_present(states[tail - 1], same_boot)) --tail;
        for (int64_t i = head; i < tail; ++i)
            if (is_present(states[i], same_boot)) return GPUIO_UNCLEAR;
    } else {
        head = count_present(file, at, at + pages, same_boot);
        if (head != 0 && head != pages) return GPUIO_UNCLEAR;
    }
    if (head == pages)
        return range->to == NULL || read_fully(file, range->to, range->begin, range->end)
                   ? GPUIO_PRESENT
                   : GPUIO_UNCLEAR;
    const int64_t from = head > 0 ? (first + head) * footer->page : range->begin;
    const int64_t until = tail < pages ? (first + tail) * footer->page : range->end;
    return trim(file, from, until, range) ? GPUIO_ABSENT : GPUIO_UNCLEAR;
}

void gpuio_native_cached(const char* folder, const struct gpuio_footer* footer, int64_t segment,
                         int64_t size, int64_t* begins, int64_t* ends, int64_t* places,
                         int64_t count, uint8_t* to, uint8_t* found) {
    struct gpuio_footer expected = *footer;
    int file = -1, same_boot = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t number = begins[i] / segment, base = number * segment;
        if (i == 0 || number != expected.number) {
            if (file >= 0) close(file);
            expected.number = number;
            expected.nbytes = size - base < segment ? size - base : segment;
            file = open_segment(folder, &expected, &same_boot);
        }
        struct range range = {begins[i] - base, ends[i] - base, to == NULL ? NULL : to + places[i]};
        found[i] = find(file, &expected, same_boot, &range);
        places[i] += base + range.begin - begins[i];
        begins[i] = base + range.begin;
        ends[i] = base + range.end;
    }
    if (file >= 0) close(file);
}
