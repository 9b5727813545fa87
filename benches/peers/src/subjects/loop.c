/* What a host in C does, in loops that Rust times: the calls go through the shared library. */
#include <stdint.h>
#include <stdlib.h>
#include <vsched.h>

struct bench_c {
    vsched_worker *worker;
    vsched_service_id service;
    const vsched_flow *flows;
    size_t flow_count, flow;
    vsched_lease *held;
    size_t held_count;
    uint64_t random;
};

/* A director of this config; its address in `director`. 0 if all is well. */
int bench_c_director(const char *json, size_t length, vsched_director **director) {
    vsched_config *config;
    if (vsched_config_new(&config) != VSCHED_OK) {
        return 1;
    }
    int failed = vsched_config_read_json(config, json, length) != VSCHED_OK ||
                 vsched_director_new(config, director) != VSCHED_OK;
    vsched_config_free(config);
    return failed;
}

struct bench_c *bench_c_new(const vsched_director *director, const vsched_flow *flows,
                            size_t flow_count) {
    struct bench_c *bench = calloc(1, sizeof *bench);
    if (!bench || vsched_worker_new(director, &bench->worker) != VSCHED_OK ||
        vsched_worker_service_for(bench->worker, flows, &bench->service) != VSCHED_OK) {
        return NULL;
    }
    bench->flows = flows;
    bench->flow_count = flow_count;
    bench->random = 7;
    return bench;
}

void bench_c_free(struct bench_c *bench) {
    for (size_t at = 0; at < bench->held_count; at++) {
        vsched_worker_close(bench->worker, &bench->held[at]);
    }
    vsched_worker_free(bench->worker);
    free(bench->held);
    free(bench);
}

static const vsched_flow *next_flow(struct bench_c *bench) {
    const vsched_flow *flow = &bench->flows[bench->flow];
    bench->flow = (bench->flow + 1) & (bench->flow_count - 1);
    return flow;
}

/* As subjects/random.rs. */
static size_t draw(struct bench_c *bench) {
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return (size_t)(((bench->random >> 32) * bench->held_count) >> 32);
}

/* Connects until `count` connections are held. Answers how many are. */
size_t bench_c_hold(struct bench_c *bench, size_t count) {
    bench->held = calloc(count, sizeof *bench->held);
    vsched_pick pick;
    while (bench->held && bench->held_count < count &&
           vsched_worker_connect(bench->worker, bench->service, next_flow(bench), NULL, 0, &pick,
                                 &bench->held[bench->held_count]) == VSCHED_OK) {
        bench->held_count++;
    }
    return bench->held_count;
}

/* One flow alone is given as it is, as in rust.rs. */
uint64_t bench_c_picks(struct bench_c *bench, uint64_t count) {
    vsched_worker *worker = bench->worker;
    const vsched_service_id service = bench->service;
    const vsched_flow *flow = bench->flows;
    /* A number that is a power of two, as in case.rs. */
    const size_t mask = bench->flow_count - 1;
    uint64_t found = 0;
    /* In a cache line of its own, as in rust.rs. */
    _Alignas(64) vsched_pick pick;
    if (bench->flow_count == 1) {
        while (count--) {
            found += vsched_worker_pick_server(worker, service, flow, &pick) == VSCHED_OK;
        }
        return found;
    }
    for (size_t at = bench->flow, end = at + count; at < end; at++) {
        found += vsched_worker_pick_server(worker, service, flow + (at & mask), &pick) == VSCHED_OK;
    }
    bench->flow = (bench->flow + count) & mask;
    return found;
}

/* Opens on the server of a random connection, and closes that. */
uint64_t bench_c_opens(struct bench_c *bench, uint64_t count) {
    uint64_t done = 0;
    while (count--) {
        vsched_lease *held = &bench->held[draw(bench)], lease;
        done += vsched_worker_open(bench->worker, held->server, VSCHED_ACTIVE, &lease) == VSCHED_OK &&
                vsched_worker_close(bench->worker, held) == VSCHED_OK;
        *held = lease;
    }
    return done;
}

/* A whole connection: picks, opens, and closes a random older one, whose lease is at hand. */
uint64_t bench_c_connects(struct bench_c *bench, uint64_t count) {
    uint64_t done = 0;
    vsched_pick pick;
    while (count--) {
        vsched_lease *held = &bench->held[draw(bench)], lease;
        __builtin_prefetch(held);
        done += vsched_worker_connect(bench->worker, bench->service, next_flow(bench), NULL, 0, &pick,
                                      &lease) == VSCHED_OK &&
                vsched_worker_close(bench->worker, held) == VSCHED_OK;
        *held = lease;
    }
    return done;
}
