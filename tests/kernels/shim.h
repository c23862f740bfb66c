// What CUDA's compiler declares by itself, for g++: kernels run on the host by runtime.cpp.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

struct dim3 {
    unsigned x, y, z;
};

// Of the thread that runs; threads of a grid run one after another.
extern dim3 gridDim, blockDim, blockIdx, threadIdx;
static constexpr int warpSize = 32;

// Barriers: of all threads of a block that still run, or of a warp's.
void __syncthreads();
void wait_for_warp();

static inline void __syncwarp(unsigned = ~0u) {
    wait_for_warp();
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// Shared memory: `__shared__ float sums[8]` becomes a static variable and a call of
// `enter_shared`, which poisons it when the first thread of a block comes by.
void enter_shared(void* memory, size_t size, unsigned long long* block);
void* dynamic_shared();

// One value of each thread of the block, for shuffles.
void* shuffle_slot(unsigned thread);

static inline unsigned thread_in_block() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

template <typename Value>
static Value shuffle(Value value, unsigned lane) {
    static_assert(sizeof(Value) <= 8, "shuffles exchange at most 8 bytes");
    const unsigned self = thread_in_block(), first = self / warpSize * warpSize;
    std::memcpy(shuffle_slot(self), &value, sizeof value);
    wait_for_warp();
    if (lane < (unsigned)warpSize) std::memcpy(&value, shuffle_slot(first + lane), sizeof value);
    wait_for_warp();
    return value;
}

template <typename Value>
static Value __shfl_sync(unsigned, Value value, int lane) {
    return shuffle(value, (unsigned)lane % warpSize);
}
template <typename Value>
static Value __shfl_down_sync(unsigned, Value value, unsigned delta) {
    return shuffle(value, thread_in_block() % warpSize + delta);
}
template <typename Value>
static Value __shfl_up_sync(unsigned, Value value, unsigned delta) {
    return shuffle(value, thread_in_block() % warpSize - delta);
}
template <typename Value>
static Value __shfl_xor_sync(unsigned, Value value, int mask) {
    return shuffle(value, (thread_in_block() % warpSize) ^ mask);
}

template <typename Value>
static Value atomicAdd(Value* at, std::common_type_t<Value> value) {
    const Value old = *at;
    *at = old + value;
    return old;
}
template <typename Value>
static Value atomicMax(Value* at, std::common_type_t<Value> value) {
    const Value old = *at;
    *at = old < value ? value : old;
    return old;
}
template <typename Value>
static Value atomicMin(Value* at, std::common_type_t<Value> value) {
    const Value old = *at;
    *at = value < old ? value : old;
    return old;
}

template <typename A, typename B>
static constexpr std::common_type_t<A, B> min(A a, B b) {
    return b < a ? b : a;
}
template <typename A, typename B>
static constexpr std::common_type_t<A, B> max(A a, B b) {
    return a < b ? b : a;
}

template <typename Value>
static Value __ldg(const Value* from) {
    return *from;
}

#define ROUNDED(letter, Real)                                      \
    static inline Real __##letter##add_rn(Real a, Real b) {        \
        return a + b;                                              \
    }                                                              \
    static inline Real __##letter##sub_rn(Real a, Real b) {        \
        return a - b;                                              \
    }                                                              \
    static inline Real __##letter##mul_rn(Real a, Real b) {        \
        return a * b;                                              \
    }                                                              \
    static inline Real __##letter##div_rn(Real a, Real b) {        \
        return a / b;                                              \
    }                                                              \
    static inline Real __##letter##sqrt_rn(Real a) {               \
        return std::sqrt(a);                                       \
    }                                                              \
    static inline Real __##letter##ma_rn(Real a, Real b, Real c) { \
        return std::fma(a, b, c);                                  \
    }
ROUNDED(f, float)
ROUNDED(d, double)
#define __fmaf_rn __fma_rn

// The bits of a half, rounded to nearest even.
extern "C" unsigned short half_of(float value);
struct Half;
template <typename Result = Half>
static inline Result to_half(float value) {
    return {half_of(value)};
}

#define VECTOR(Type, Element)                                                          \
    struct alignas(2 * sizeof(Element)) Type##2 {                                      \
        Element x, y;                                                                  \
    };                                                                                 \
    struct Type##3 {                                                                   \
        Element x, y, z;                                                               \
    };                                                                                 \
    struct alignas(4 * sizeof(Element)) Type##4 {                                      \
        Element x, y, z, w;                                                            \
    };                                                                                 \
    static inline Type##2 make_##Type##2(Element x, Element y) {                       \
        return {x, y};                                                                 \
    }                                                                                  \
    static inline Type##3 make_##Type##3(Element x, Element y, Element z) {            \
        return {x, y, z};                                                              \
    }                                                                                  \
    static inline Type##4 make_##Type##4(Element x, Element y, Element z, Element w) { \
        return {x, y, z, w};                                                           \
    }
VECTOR(char, signed char)
VECTOR(uchar, unsigned char)
VECTOR(short, short)
VECTOR(ushort, unsigned short)
VECTOR(int, int)
VECTOR(uint, unsigned)
VECTOR(float, float)

// Describes a parameter of a kernel to on_host.py.
struct Parameter {
    size_t size;     // bytes of the parameter, passed by value
    size_t pointee;  // bytes of what it points to; 0: no pointer
    char kind;       // NumPy's kind of the value or of what it points to: i, u, f, or V
    char constant;   // 1: points to constants
};

template <typename Type>
static constexpr Parameter parameter() {
    using Value = std::remove_cv_t<std::remove_pointer_t<Type>>;
    return {sizeof(Type), std::is_pointer_v<Type> ? sizeof(Value) : 0,
            std::is_floating_point_v<Value> ? 'f'
            : !std::is_integral_v<Value>    ? 'V'
            : std::is_signed_v<Value>       ? 'i'
                                            : 'u',
            std::is_const_v<std::remove_pointer_t<Type>>};
}

template <typename Function>
struct Signature;
template <typename... Types>
struct Signature<void(Types...)> {
    static constexpr size_t count = sizeof...(Types);
    static constexpr Parameter parameters[] = {parameter<Types>()..., {}};

    template <size_t... Places>
    __attribute__((no_sanitize_address)) static void call(void (*kernel)(Types...), void** from,
                                                          std::index_sequence<Places...>) {
        kernel(*(Types*)from[Places]...);
    }
};

#define EXPORT(name)                                                                        \
    extern "C" {                                                                            \
    extern const size_t count_##name;                                                       \
    extern const Parameter* const parameters_##name;                                        \
    const size_t count_##name = Signature<decltype(name)>::count;                           \
    const Parameter* const parameters_##name = Signature<decltype(name)>::parameters;       \
    void call_##name(void** arguments) {                                                    \
        Signature<decltype(name)>::call(                                                    \
            name, arguments, std::make_index_sequence<Signature<decltype(name)>::count>()); \
    }                                                                                       \
    }
