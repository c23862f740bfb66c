// Lets a host compiler compile a CUDA file: threads run sequentially, without barriers.
#pragma once

#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline

struct Index {
    unsigned x, y, z;
};

static thread_local Index gridDim, blockDim, blockIdx, threadIdx;

static inline float add(float a, float b) {
    return a + b;
}
static inline float subtract(float a, float b) {
    return a - b;
}
static inline float multiply(float a, float b) {
    return a * b;
}

struct Half;
static inline Half to_half(float value);

// Runs a kernel for each thread of a grid; launch = grid x, grid y, block x.
template <typename Kernel, typename... Arguments>
static void run(Kernel kernel, const unsigned* launch, Arguments... arguments) {
    gridDim = {launch[0], launch[1], 1};
    blockDim = {launch[2], 1, 1};
    for (unsigned y = 0; y < launch[1]; ++y)
        for (unsigned x = 0; x < launch[0]; ++x)
            for (unsigned thread = 0; thread < launch[2]; ++thread) {
                blockIdx = {x, y, 0};
                threadIdx = {thread, 0, 0};
                kernel(arguments...);
            }
}
