/* What decides: the bytes of one input. And memory as hostile as its callers: every argument of a call
 * lies in an allocation of exactly its size, so that a checker sees the first byte beyond. */
#ifndef HOSTILE_BYTES_H
#define HOSTILE_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vsched.h>

#define MUST(condition) must_hold(!!(condition), __FILE__, __LINE__, #condition)

/* A fuzzer keeps the input of a program that aborts. */
static inline void must_hold(int holds, const char *file, int line, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
        abort();
    }
}

static const uint8_t *next_byte, *end_of_bytes;

/* After the last byte, zeros. */
static inline uint8_t byte(void) { return next_byte < end_of_bytes ? *next_byte++ : 0; }

static inline size_t below(size_t limit) { return byte() % limit; }

static inline uint32_t number(void) {
    static const uint32_t edges[] = {0,     1,          2,          3,          100,      65535,
                                     65536, 2147483647, 2147483648, 4294967295, 33554431, 2678400};
    uint8_t kind = byte();
    if (kind < 12) return edges[kind];
    return kind < 200 ? kind % 8u : (uint32_t)byte() << 8 | byte();
}

/* What a call was given: taken back after it. */
static void *lent[64];
static size_t lent_count;

static inline void *lend(size_t size) {
    void *memory = malloc(size);
    MUST(lent_count < sizeof lent / sizeof *lent && (memory != NULL || size == 0));
    lent[lent_count++] = memory;
    return memory;
}

static inline void *lend_copy(const void *of, size_t size) {
    void *memory = lend(size);
    if (size > 0) memcpy(memory, of, size);
    return memory;
}

static inline void take_back(void) {
    while (lent_count > 0) free(lent[--lent_count]);
}

#define POISON 0xA5

/* An output: NULL at times. */
static inline void *room(size_t size) {
    if (byte() >= 250) return NULL;
    void *memory = lend(size);
    memset(memory, POISON, size);
    return memory;
}

static inline int untouched(const void *memory, size_t size) {
    const uint8_t *bytes = (const uint8_t *)memory;
    for (size_t at = 0; memory != NULL && at < size; at++) {
        if (bytes[at] != POISON) return 0;
    }
    return 1;
}

/* A status that the header lists, other than the one of a caught bug. */
static inline vsched_status known(vsched_status status) {
    MUST(status != VSCHED_E_PANIC);
    MUST(strcmp(vsched_status_text(status), vsched_status_text(98)) != 0);
    return status;
}

/* A call with one output, which is written if and only if the answer is VSCHED_OK. */
static inline int gave(vsched_status status, const void *output, size_t size) {
    if (known(status) != VSCHED_OK) {
        MUST(untouched(output, size));
        return 0;
    }
    MUST(output != NULL);
    return 1;
}

/* Whether ids, leases, picks and flows are left as the library gave them, so that counts must add up. */
static int honest;

static inline void forge(void *object, size_t size) {
    if (honest || byte() < 224) return;
    ((uint8_t *)object)[below(size)] = byte();
}

/* A text's output: buffers of every size, the exact one and one less often among them. */
struct out {
    char *buffer;
    size_t capacity;
    size_t *length;
};

static size_t asked_for;

static inline struct out some_out(void) {
    const size_t capacities[] = {0, 1, asked_for, asked_for + 1, 1 << 16, byte()};
    size_t kind = below(8);
    struct out out;
    out.capacity = kind < 6 ? capacities[kind] : 4096;
    out.buffer = out.capacity == 0 ? NULL : (char *)room(out.capacity);
    out.length = (size_t *)room(sizeof *out.length);
    return out;
}

static inline void text_given(vsched_status status, struct out out) {
    if (known(status) == VSCHED_OK) {
        MUST(out.buffer != NULL);
        size_t length = out.length == NULL ? strlen(out.buffer) : *out.length;
        MUST(length < out.capacity && out.buffer[length] == 0);
        return;
    }
    MUST(untouched(out.buffer, out.capacity));
    if (status == VSCHED_E_BUFFER && out.length != NULL) {
        MUST(*out.length >= out.capacity);
        asked_for = *out.length;
    }
}

#endif
