/* Calls on blocks. Directors on them only where leases need not all be closed: a lease of a block is
 * closed by the director that opened it. */
#ifndef HOSTILE_BLOCKS_H
#define HOSTILE_BLOCKS_H

#include "things.h"

static vsched_block *blocks[2];

static vsched_block *a_block(void) { return blocks[any_of((void *const *)blocks, COUNT(blocks))]; }

static vsched_block_limits *some_room(void) {
    vsched_block_limits limits;
    memset(&limits, 0, sizeof limits);
    static const uint32_t counts[] = {1, 0, 64, 65, 1000, 4294967295u};
    limits.servers = byte() < 200 ? 64 : counts[below(COUNT(counts))];
    limits.services = byte() < 200 ? 64 : counts[below(COUNT(counts))];
    limits.owners = byte() < 200 ? 2 : number();
    limits.addresses = byte() < 250 ? byte() : 0xffffffffu;
    return (vsched_block_limits *)sized(&limits, sizeof limits);
}

/* Memory of the caller, zeroed or not, which may begin anywhere. */
static char *some_memory(size_t *length) {
    static const size_t lengths[] = {200000, 0, 64, 300, 65536};
    *length = byte() < 200 ? lengths[0] : lengths[below(COUNT(lengths))];
    size_t from = byte() < 200 ? 0 : below(64);
    char *memory = (char *)lend(*length + from);
    memset(memory, byte() < 200 ? 0 : byte(), *length + from);
    for (size_t at = 0; byte() >= 128 && at < 64; at++) {
        if (*length > 64) memory[from + below(64)] = (char)byte();
    }
    return memory + from;
}

static void block_new(void) {
    vsched_block **to = (vsched_block **)room(sizeof *to);
    if (!gave(vsched_block_new(to), to, sizeof *to)) return;
    size_t at = below(COUNT(blocks));
    vsched_block_free(blocks[at]);
    blocks[at] = *to;
}

static void block_free(void) {
    size_t at = below(COUNT(blocks) + 6);
    vsched_block_free(at < COUNT(blocks) ? blocks[at] : NULL);
    if (at < COUNT(blocks)) blocks[at] = NULL;
}

static void block_size(void) {
    size_t *to = (size_t *)room(sizeof *to);
    (void)gave(vsched_block_size(a_block(), some_room(), to), to, sizeof *to);
}

static void block_anonymous(void) { known(vsched_block_anonymous(a_block(), some_room())); }

static void block_named(void) {
    vsched_text path = a_key();
    /* Of a folder that is not there: a checker makes no files. */
    char name[64] = "/nonexistent/";
    size_t length = path.data == NULL || path.length > 40 ? 0 : path.length;
    if (length > 0) memcpy(name + 13, path.data, length);
    known(vsched_block_named(a_block(), byte() < 250 ? name : NULL, 13 + length, some_room()));
}

static void block_format(void) {
    size_t length;
    char *memory = some_memory(&length);
    known(vsched_block_format(a_block(), memory, length, some_room()));
}

/* In a handle of its own, which goes before the memory does. */
static void block_of_memory(void) {
    vsched_block *block;
    MUST(vsched_block_new(&block) == VSCHED_OK);
    size_t length;
    char *memory = some_memory(&length);
    if (byte() < 128) known(vsched_block_format(block, memory, length, some_room()));
    if (length > 100 && byte() >= 200) memory[below(100)] ^= (char)byte();
    known(byte() < 128 ? vsched_block_attach(block, memory, length)
                       : vsched_block_format_or_attach(block, memory, length, some_room()));
    uint32_t left;
    known(vsched_block_reclaim_process(block, number(), &left));
    vsched_block_free(block);
}

static void block_reclaim_process(void) {
    uint32_t *to = (uint32_t *)room(sizeof *to);
    /* Of this process itself only where leases may be lost. */
    uint32_t process = honest ? 4294967295u : number();
    (void)gave(vsched_block_reclaim_process(a_block(), process, to), to, sizeof *to);
}

static void block_reclaim_dead(void) {
    uint32_t *to = (uint32_t *)room(sizeof *to);
    (void)gave(vsched_block_reclaim_dead(a_block(), to), to, sizeof *to);
}

static void block_error(void) {
    struct out out = some_out();
    text_given(vsched_block_error(a_block(), out.buffer, out.capacity, out.length), out);
}

static void director_new_in_block(void) {
    vsched_director **to = (vsched_director **)room(sizeof *to);
    vsched_config *config = a_config();
    uint64_t bytes;
    if (vsched_config_memory(config, &bytes) == VSCHED_OK && bytes > 64u << 20) return;
    if (!gave(vsched_director_new_in_block(config, a_block(), to), to, sizeof *to)) return;
    size_t at = below(COUNT(directors));
    if (honest) {
        vsched_director_free(*to);
        return;
    }
    vsched_director_free(directors[at]);
    directors[at] = *to;
}

#endif
