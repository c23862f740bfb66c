// Substitute for CUDA's runtime and driver below the installed CuPy.
//
// CuPy's modules call each other's C functions through capsules that the called module offers. The
// functions here replace those of `cupy_backends.cuda.api`: two devices whose memory is the host's.
// All work runs at once, and kernels do nothing unless Python runs them. What CUDA refuses, this
// refuses: streams and modules of another device, events on them, copies to unknown memory.
//
// Arguments are those of CuPy's functions; `skip` and `options` are Cython's.

#include <Python.h>

#include <stdlib.h>
#include <string.h>

enum { DEVICES = 2, DEFAULT_STREAMS = 3, ALIGNMENT = 512 };
enum { INVALID_VALUE = 1, INVALID_DEVICE = 101, INVALID_HANDLE = 400 };
enum { HOST = 1, DEVICE = 2 };                           // kinds of memory
enum { TO_DEVICE = 1, FROM_DEVICE = 2, ON_DEVICE = 3 };  // kinds of copies
enum { MAJOR = 75, MINOR = 76, WARP_SIZE = 10, PAGEABLE_ACCESS = 88 };

static __thread int current;
static PyObject *runtime, *found, *launched;

struct Memory {
    char* begin;
    size_t size;
    int device, kind;
};
static struct Memory* memories;
static size_t count, capacity;

enum Kind { STREAM = 1, EVENT, MODULE, FUNCTION };
struct Handle {
    enum Kind kind;
    int device, destroyed;
};

// Called once: the module cupy_backends.cuda.api.runtime, and what is called for functions of
// modules, with (function, module, name), and for launches.
void install(PyObject* module, PyObject* find_function, PyObject* launch) {
    runtime = module, found = find_function, launched = launch;
    Py_INCREF(runtime), Py_INCREF(found), Py_INCREF(launched);
}

static PyObject* done(void) {
    Py_RETURN_NONE;
}

static PyObject* failed(int status) {
    PyObject* kind = PyObject_GetAttrString(runtime, "CUDARuntimeError");
    PyObject* error = kind ? PyObject_CallFunction(kind, "i", status) : NULL;
    if (error) PyErr_SetObject(kind, error);
    Py_XDECREF(error), Py_XDECREF(kind);
    return NULL;
}

static struct Memory* memory_at(intptr_t address) {
    for (size_t i = 0; i < count; ++i)
        if ((size_t)(address - (intptr_t)memories[i].begin) < memories[i].size) return memories + i;
    return NULL;
}

// Where the allocation of an address begins, and its size; 0 if there is none.
intptr_t allocation(intptr_t address, size_t* size) {
    struct Memory* memory = memory_at(address);
    *size = memory ? memory->size : 0;
    return memory ? (intptr_t)memory->begin : 0;
}

static intptr_t allocate(size_t size, int kind) {
    if (count == capacity) {
        capacity = 2 * capacity + 64;
        memories = realloc(memories, capacity * sizeof *memories);
    }
    void* begin = NULL;
    if (!memories || posix_memalign(&begin, ALIGNMENT, size)) abort();
    memset(begin, 0x5a, size);
    memories[count++] = (struct Memory){begin, size, current, kind};
    return (intptr_t)begin;
}

static PyObject* deallocate(intptr_t address) {
    struct Memory* memory = memory_at(address);
    if (!memory || (intptr_t)memory->begin != address) return failed(INVALID_VALUE);
    free(memory->begin);
    *memory = memories[--count];
    return done();
}

static intptr_t create(enum Kind kind) {
    struct Handle* handle = malloc(sizeof *handle);
    if (!handle) abort();
    *handle = (struct Handle){kind, current, 0};
    return (intptr_t)handle;
}

// Handles stay in memory when they are destroyed, so that later uses are noticed.
static PyObject* destroy(intptr_t handle) {
    if (((struct Handle*)handle)->destroyed++) return failed(INVALID_HANDLE);
    return done();
}

// The device of a handle; -1 if it has been destroyed or is another kind.
static int device_of(intptr_t handle, enum Kind kind) {
    if (kind == STREAM && handle >= 0 && handle < DEFAULT_STREAMS) return current;
    struct Handle* given = (struct Handle*)handle;
    return given && given->kind == kind && !given->destroyed ? given->device : -1;
}

static PyObject* copied(intptr_t to, intptr_t from, size_t size, int kind, intptr_t stream) {
    if (device_of(stream, STREAM) < 0) return failed(INVALID_HANDLE);
    if (kind != FROM_DEVICE && !memory_at(to)) return failed(INVALID_VALUE);
    if (kind != TO_DEVICE && !memory_at(from)) return failed(INVALID_VALUE);
    memmove((void*)to, (void*)from, size);
    return done();
}

// Devices

int cuda_getDevice(int skip) {
    return current;
}
PyObject* cuda_setDevice(int device, int skip) {
    if (device < 0 || device >= DEVICES) return failed(INVALID_DEVICE);
    current = device;
    return done();
}
int cuda_getDeviceCount(int skip) {
    return DEVICES;
}
int cuda_deviceGetAttribute(int name, int device, int skip) {
    return name == MAJOR       ? 9
           : name == WARP_SIZE ? 32
           : name == MINOR     ? 0
                               : 1024 * (name != PAGEABLE_ACCESS);
}
int cuda_deviceCanAccessPeer(int device, int peer, int skip) {
    return 0;
}
PyObject* cuda_deviceSynchronize(int skip) {
    return done();
}
int cuda_driverGetVersion(int skip) {
    return 13000;
}
int cuda_runtimeGetVersion(int skip) {
    return 13000;
}
PyObject* cuda__ensure_context(void) {
    return done();
}

// Memory

intptr_t cuda_malloc(size_t size, int skip) {
    return allocate(size, DEVICE);
}
PyObject* cuda_free(intptr_t address, int skip) {
    return deallocate(address);
}
intptr_t cuda_hostAlloc(size_t size, unsigned int flags, int skip) {
    return allocate(size, HOST);
}
PyObject* cuda_freeHost(intptr_t address, int skip) {
    return deallocate(address);
}
PyObject* cuda_memGetInfo(int skip) {
    return Py_BuildValue("nn", (Py_ssize_t)1 << 33, (Py_ssize_t)1 << 34);
}
int cuda_pointerGetMemoryType(intptr_t address, int skip) {
    struct Memory* memory = memory_at(address);
    return memory ? memory->kind : 0;
}
PyObject* cuda_pointerGetAttributes(intptr_t address, int skip) {
    struct Memory* memory = memory_at(address);
    const int device = memory ? memory->device : -2, kind = memory ? memory->kind : 0;
    return PyObject_CallMethod(runtime, "PointerAttributes", "inni", device, (Py_ssize_t)address,
                               (Py_ssize_t)address, kind);
}
PyObject* cuda_memcpy(intptr_t to, intptr_t from, size_t size, int kind, int skip) {
    return copied(to, from, size, kind, 0);
}
PyObject* cuda_memcpyAsync(intptr_t to, intptr_t from, size_t size, int kind, intptr_t stream,
                           int skip) {
    return copied(to, from, size, kind, stream);
}
PyObject* cuda_memsetAsync(intptr_t to, int value, size_t size, intptr_t stream, int skip) {
    if (device_of(stream, STREAM) != current) return failed(INVALID_HANDLE);
    if (!memory_at(to)) return failed(INVALID_VALUE);
    memset((void*)to, value, size);
    return done();
}

// Streams and events

intptr_t cuda_streamCreateWithPriority(unsigned int flags, int priority, int skip) {
    return create(STREAM);
}
PyObject* cuda_streamDestroy(intptr_t stream, int skip) {
    return destroy(stream);
}
PyObject* cuda_streamSynchronize(intptr_t stream, int skip) {
    return device_of(stream, STREAM) < 0 ? failed(INVALID_HANDLE) : done();
}
PyObject* cuda_streamQuery(intptr_t stream, int skip) {
    return PyLong_FromLong(0);
}
int cuda_streamIsCapturing(intptr_t stream, int skip) {
    return device_of(stream, STREAM) < 0 && !failed(INVALID_HANDLE) ? -1 : 0;
}
PyObject* cuda_streamWaitEvent(intptr_t stream, intptr_t event, int skip, void* options) {
    const int usable = device_of(stream, STREAM) >= 0 && device_of(event, EVENT) >= 0;
    return usable ? done() : failed(INVALID_HANDLE);
}
intptr_t cuda_eventCreateWithFlags(unsigned int flags, int skip) {
    return create(EVENT);
}
PyObject* cuda_eventDestroy(intptr_t event, int skip) {
    return destroy(event);
}
PyObject* cuda_eventRecord(intptr_t event, intptr_t stream, int skip) {
    const int device = device_of(event, EVENT);
    const int usable = device >= 0 && device_of(stream, STREAM) == device;
    return usable ? done() : failed(INVALID_HANDLE);
}
PyObject* cuda_eventQuery(intptr_t event, int skip) {
    return PyLong_FromLong(device_of(event, EVENT) < 0 ? INVALID_HANDLE : 0);
}
PyObject* cuda_eventSynchronize(intptr_t event, int skip) {
    return device_of(event, EVENT) < 0 ? failed(INVALID_HANDLE) : done();
}

// Modules and kernels

intptr_t cuda_moduleLoadData(PyObject* content, int skip) {
    return create(MODULE);
}
PyObject* cuda_moduleUnload(intptr_t module, int skip) {
    return done();
}
intptr_t cuda_moduleGetFunction(intptr_t module, PyObject* name, int skip) {
    const intptr_t function = create(FUNCTION);
    PyObject* made =
        PyObject_CallFunction(found, "nnO", (Py_ssize_t)function, (Py_ssize_t)module, name);
    Py_XDECREF(made);
    return made ? function : 0;
}
PyObject* cuda_launchKernel(intptr_t function, unsigned int grid_x, unsigned int grid_y,
                            unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                            unsigned int block_z, unsigned int shared, intptr_t stream,
                            intptr_t arguments, intptr_t extra, int skip) {
    const int device = device_of(function, FUNCTION);
    if (device != current || device_of(stream, STREAM) != current) return failed(INVALID_HANDLE);
    return PyObject_CallFunction(launched, "n(III)(III)nI", (Py_ssize_t)function, grid_x, grid_y,
                                 grid_z, block_x, block_y, block_z, (Py_ssize_t)arguments, shared);
}
