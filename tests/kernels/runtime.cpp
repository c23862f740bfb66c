// Runs a compiled kernel on the host: all threads of a grid, one after another, on one thread.
//
// A fiber runs threads of a block until one waits at a barrier; then another fiber takes the next
// thread. Each access to memory is checked: the kernel is compiled with calls for that
// (-fsanitize=kernel-address), and so is undefined behavior (-fsanitize=undefined). The first error
// ends the launch and is reported to the caller.
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <memory>
#include <mutex>
#include <ucontext.h>
#include <vector>

struct dim3 {
    unsigned x, y, z;
};
dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace {

struct Range {
    const char* begin;
    const char* end;
    const char* name;
    long long writable;
};

struct Launch {
    unsigned grid[3], block[3];
    unsigned long long shared_bytes;
    unsigned long long backwards;  // 1: the last thread of the last block runs first
    const Range* ranges;           // what the kernel may read, and perhaps write
    unsigned long long range_count;
    char message[512];  // what went wrong
};

constexpr size_t STACK = 64 << 10, MAX_SHARED = 48 << 10, MAX_THREADS = 1024, WARP = 32;
constexpr int POISON = 0xA5;

enum State { UNSTARTED, READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, FINISHED };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
};

std::mutex one_at_a_time;
Launch* current;
jmp_buf failed;
ucontext_t scheduler;
std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* active;
unsigned threads, started;  // of the block
State states[MAX_THREADS];  // of each thread
Fiber* fiber_of[MAX_THREADS];
std::vector<char> dynamic_memory;
unsigned long long shuffled[MAX_THREADS], block_number;
size_t shared_in_use;
void (*entry)(void**);
void** entry_arguments;

unsigned thread_in_block() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

[[noreturn]] void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char* text = current->message;
    const size_t size = sizeof current->message;
    const int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    if (length < (int)size)
        snprintf(text + length, size - length, ", in thread (%u, %u, %u) of block (%u, %u, %u)",
                 threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y, blockIdx.z);
    longjmp(failed, 1);
}

// Whether this is constant or shared memory of the kernel.
bool in_library(const char* at) {
    static std::vector<Range> segments = [] {
        std::vector<Range> found;
        dl_iterate_phdr(
            [](dl_phdr_info* info, size_t, void* to) {
                std::vector<Range> parts;
                bool own = false;
                for (int i = 0; i < info->dlpi_phnum; ++i)
                    if (info->dlpi_phdr[i].p_type == PT_LOAD) {
                        const char* begin = (char*)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
                        const char* end = begin + info->dlpi_phdr[i].p_memsz;
                        parts.push_back({begin, end, "", 1});
                        own |= begin <= (char*)&current && (char*)&current < end;
                    }
                if (own) *(std::vector<Range>*)to = parts;
                return (int)own;
            },
            &found);
        return found;
    }();
    for (const Range& each : segments)
        if (each.begin <= at && at < each.end) return true;
    return false;
}

bool on_stack(const char* at) {
    const char* stack = active->stack.get();
    return stack <= at && at < stack + STACK;
}

void check(const char* at, size_t size, bool write) {
    if (on_stack(at)) return;
    for (unsigned i = 0; i < current->range_count; ++i) {
        const Range& range = current->ranges[i];
        if (range.begin <= at && at + size <= range.end && (range.writable || !write)) return;
    }
    if (in_library(at)) return;
    const char* dynamic = dynamic_memory.data();
    if (dynamic <= at && at + size <= dynamic + dynamic_memory.size()) return;
    const char* verb = write ? "writes" : "reads";
    for (unsigned i = 0; i < current->range_count; ++i) {
        const Range& range = current->ranges[i];
        if (range.begin <= at && at + size <= range.end)
            fail("writes %zu bytes to %s, which it may only read", size, range.name);
    }
    const Range* nearest = nullptr;
    long long best = 0;
    for (unsigned i = 0; i < current->range_count; ++i) {
        const Range& range = current->ranges[i];
        const long long distance = at < range.begin ? range.begin - at : at - range.end;
        if (!nearest || distance < best) nearest = &range, best = distance;
    }
    if (!nearest) fail("%s %zu bytes at %p, without any array", verb, size, (void*)at);
    fail("%s %zu bytes outside of its arrays, next to %s, %lld bytes after its begin of %lld", verb,
         size, nearest->name, (long long)(at - nearest->begin),
         (long long)(nearest->end - nearest->begin));
}

void set_thread(unsigned number) {
    threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y,
                 number / blockDim.x / blockDim.y};
}

void run_threads() {
    while (started < threads) {
        const unsigned number = current->backwards ? threads - 1 - started : started;
        ++started;
        fiber_of[number] = active;
        states[number] = READY;
        set_thread(number);
        entry(entry_arguments);
        states[thread_in_block()] = FINISHED;
    }
}

void resume(Fiber& fiber) {
    active = &fiber;
    swapcontext(&scheduler, &fiber.context);
}

void start(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, run_threads, 0);
    resume(fiber);
}

void wait(State barrier) {
    const dim3 index = threadIdx;
    states[thread_in_block()] = barrier;
    swapcontext(&active->context, &scheduler);
    threadIdx = index;
}

// Lets threads go on if all of them wait at the barrier; returns whether they do.
bool release(unsigned first, unsigned end, State barrier) {
    for (unsigned i = first; i < end; ++i)
        if (states[i] != barrier) return false;
    for (unsigned i = first; i < end; ++i) states[i] = READY;
    return true;
}

void run_block() {
    ++block_number;
    shared_in_use = 0;
    memset(dynamic_memory.data(), POISON, dynamic_memory.size());
    memset(shuffled, POISON, sizeof shuffled);
    started = 0;
    for (size_t used = 0; started < threads; ++used) {
        if (used == fibers.size()) fibers.push_back(std::make_unique<Fiber>());
        start(*fibers[used]);
    }
    for (bool more = true; more;) {
        more = release(0, threads, AT_BLOCK_BARRIER);
        for (unsigned first = 0; first < threads; first += WARP)
            more |=
                release(first, first + WARP < threads ? first + WARP : threads, AT_WARP_BARRIER);
        for (unsigned i = 0; i < threads; ++i) {
            const unsigned number = current->backwards ? threads - 1 - i : i;
            if (states[number] == READY) resume(*fiber_of[number]);
        }
    }
    for (unsigned i = 0; i < threads; ++i)
        if (states[i] != FINISHED) {
            set_thread(i);
            fail("waits at a barrier that other threads do not come to");
        }
}

struct Location {
    const char* file;
    unsigned line, column;
};

}  // namespace

void __syncthreads() {
    wait(AT_BLOCK_BARRIER);
}

void wait_for_warp() {
    wait(AT_WARP_BARRIER);
}

void* shuffle_slot(unsigned thread) {
    return &shuffled[thread];
}

void* dynamic_shared() {
    return dynamic_memory.data();
}

void enter_shared(void* memory, size_t size, unsigned long long* block) {
    if (*block == block_number) return;
    *block = block_number;
    memset(memory, POISON, size);
    shared_in_use += size;
    if (shared_in_use + dynamic_memory.size() > MAX_SHARED)
        fail("uses more than %zu bytes of shared memory", MAX_SHARED);
}

// Returns 0, or 1 and a message.
extern "C" int launch(void (*kernel)(void**), void** arguments, Launch* parameters) {
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    current = parameters;
    entry = kernel;
    entry_arguments = arguments;
    gridDim = {parameters->grid[0], parameters->grid[1], parameters->grid[2]};
    blockDim = {parameters->block[0], parameters->block[1], parameters->block[2]};
    threads = blockDim.x * blockDim.y * blockDim.z;
    dynamic_memory.resize(parameters->shared_bytes);
    if (setjmp(failed)) return 1;
    const unsigned long long blocks = 1ull * gridDim.x * gridDim.y * gridDim.z;
    for (unsigned long long i = 0; i < blocks; ++i) {
        const unsigned long long number = parameters->backwards ? blocks - 1 - i : i;
        blockIdx = {(unsigned)(number % gridDim.x), (unsigned)(number / gridDim.x % gridDim.y),
                    (unsigned)(number / gridDim.x / gridDim.y)};
        run_block();
    }
    return 0;
}

extern "C" unsigned short half_of(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    const unsigned sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    unsigned half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u;  // NaN
    } else if (magnitude >= 0x47800000u) {
        half = 0x7c00u;  // 65536 and above
    } else {
        // Spacing of halves at this magnitude, as a shift of the full 24-bit significand.
        const unsigned exponent = magnitude >> 23;
        const bool normal = exponent >= 113;
        const unsigned shift = normal ? 13 : exponent < 102 ? 25 : 126 - exponent;
        const unsigned significand = magnitude & 0x7fffffu;
        const unsigned whole = normal     ? magnitude - (112u << 23)
                               : exponent ? significand | 0x800000u
                                          : 0;
        const unsigned rest = whole & ((1u << shift) - 1), middle = 1u << (shift - 1);
        half = whole >> shift;
        if (rest > middle || (rest == middle && half & 1))
            ++half;  // a carry correctly increments the exponent
    }
    return (unsigned short)(sign | half);
}

// Called by -fsanitize=kernel-address.
#define ACCESS(size)                                               \
    extern "C" void __asan_load##size##_noabort(const char* at) {  \
        check(at, size, false);                                    \
    }                                                              \
    extern "C" void __asan_store##size##_noabort(const char* at) { \
        check(at, size, true);                                     \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
extern "C" void __asan_loadN_noabort(const char* at, size_t size) {
    check(at, size, false);
}
extern "C" void __asan_storeN_noabort(const char* at, size_t size) {
    check(at, size, true);
}
extern "C" void __asan_handle_no_return() {}

// Called by -fsanitize=undefined; the data begin with the place in the source.
#define UNDEFINED(name)                                                                     \
    extern "C" void __ubsan_handle_##name(const Location* at) {                             \
        fail("undefined behavior, %s, at line %u, column %u", #name, at->line, at->column); \
    }
UNDEFINED(add_overflow_abort)
UNDEFINED(alignment_assumption_abort)
UNDEFINED(builtin_unreachable)
UNDEFINED(divrem_overflow_abort)
UNDEFINED(float_cast_overflow_abort)
UNDEFINED(invalid_builtin_abort)
UNDEFINED(load_invalid_value_abort)
UNDEFINED(missing_return)
UNDEFINED(mul_overflow_abort)
UNDEFINED(negate_overflow_abort)
UNDEFINED(nonnull_arg_abort)
UNDEFINED(out_of_bounds_abort)
UNDEFINED(pointer_overflow_abort)
UNDEFINED(shift_out_of_bounds_abort)
UNDEFINED(sub_overflow_abort)
UNDEFINED(type_mismatch_v1_abort)
UNDEFINED(vla_bound_not_positive_abort)
