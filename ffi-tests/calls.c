/* The hot path in loops through the C library, for instruction counts and for the eye:
 *
 * - calls SCHEDULER SERVERS PICKS: nanoseconds of a pick.
 * - calls --count SCHEDULER...: every case once, between requests to callgrind.
 *
 * The twin of benches/calls: the same configs, the same flow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>
#include <vsched.h>

/* As in benches/calls. */
static const unsigned SIZES[] = {16, 1000};
enum { CALLS = 300, WARM_UP = 20 };

static void must(vsched_status status, const char *what) {
    if (status != VSCHED_OK) {
        fprintf(stderr, "%s: %s\n", what, vsched_status_text(status));
        exit(1);
    }
}

struct loop {
    vsched_director *director;
    vsched_worker *worker;
    vsched_flow flow;
    vsched_service_id service;
    vsched_server_id server;
};

static struct loop loop_new(const char *scheduler, unsigned servers) {
    vsched_config *config;
    must(vsched_config_new(&config), "config");
    char line[128];
    snprintf(line, sizeof line, "-A -t 10.1.0.1:1000 -s %s", scheduler);
    must(vsched_config_execute(config, line, strlen(line)), line);
    for (unsigned n = 1; n <= servers; n++) {
        snprintf(line, sizeof line, "-a -t 10.1.0.1:1000 -r 10.9.%u.%u:80 -m -w %u", n >> 8,
                 n & 255, (n - 1) % 3 + 1);
        must(vsched_config_execute(config, line, strlen(line)), line);
    }
    struct loop loop = {.flow = {.client = {172, 16, 0, 1},
                                 .client_port = 40000,
                                 .destination = {10, 1, 0, 1},
                                 .destination_port = 1000,
                                 .family = 4,
                                 .protocol = 6}};
    must(vsched_director_new(config, &loop.director), "director");
    must(vsched_worker_new(loop.director, &loop.worker), "worker");
    must(vsched_worker_service_for(loop.worker, &loop.flow, &loop.service), "service");
    vsched_config_free(config);
    return loop;
}

static void loop_free(struct loop *loop) {
    vsched_worker_free(loop->worker);
    vsched_director_free(loop->director);
}

static void pick(struct loop *loop, unsigned long picks) {
    vsched_pick pick;
    for (unsigned long n = 0; n < picks; n++) {
        must(vsched_worker_pick_server(loop->worker, loop->service, &loop->flow, &pick), "pick");
        loop->server = pick.server;
    }
}

static void open_close(struct loop *loop, unsigned long calls) {
    vsched_lease lease;
    for (unsigned long n = 0; n < calls; n++) {
        must(vsched_worker_open(loop->worker, loop->server, VSCHED_ACTIVE, &lease), "open");
        must(vsched_worker_close(loop->worker, &lease), "close");
    }
}

static void open_close_with(struct loop *loop, unsigned long calls) {
    vsched_lease lease;
    for (unsigned long n = 0; n < calls; n++) {
        must(vsched_worker_open(loop->worker, loop->server, VSCHED_ACTIVE, &lease), "open");
        must(vsched_worker_close_with(loop->worker, &lease, VSCHED_OUTCOME_DONE, 3000), "close");
    }
}

static void report(struct loop *loop, unsigned long calls) {
    for (unsigned long n = 0; n < calls; n++) {
        must(vsched_worker_report(loop->worker, loop->server, VSCHED_OUTCOME_DONE, 3000), "report");
    }
}

static void report_failure(struct loop *loop, unsigned long calls) {
    for (unsigned long n = 0; n < calls; n++) {
        must(vsched_worker_report(loop->worker, loop->server, VSCHED_OUTCOME_FAILED, 0), "report");
    }
}

static void connect_close(struct loop *loop, unsigned long calls) {
    vsched_pick pick;
    vsched_lease lease;
    for (unsigned long n = 0; n < calls; n++) {
        must(vsched_worker_connect(loop->worker, loop->service, &loop->flow, NULL, 0, &pick, &lease),
             "connect");
        must(vsched_worker_close(loop->worker, &lease), "close");
    }
}

struct one_case {
    const char *name;
    void (*call)(struct loop *loop, unsigned long calls);
};
static const struct one_case CASES[] = {
    {"pick", pick}, {"open+close", open_close}, {"connect+close", connect_close}};
/* They know nothing of schedulers. */
static const struct one_case REPORTS[] = {
    {"open+close_with", open_close_with}, {"report", report}, {"report_failure", report_failure}};

static void count(const char *scheduler, unsigned servers, const struct one_case *cases, size_t many) {
    struct loop loop = loop_new(scheduler, servers);
    /* None of these picks the server that it names. */
    if (cases == REPORTS) pick(&loop, 1);
    for (size_t n = 0; n < many; n++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s n=%u / %d", cases[n].name, scheduler, servers, CALLS);
        cases[n].call(&loop, WARM_UP);
        CALLGRIND_START_INSTRUMENTATION;
        CALLGRIND_ZERO_STATS;
        cases[n].call(&loop, CALLS);
        CALLGRIND_DUMP_STATS_AT(name);
        CALLGRIND_STOP_INSTRUMENTATION;
    }
    loop_free(&loop);
}

static void measure(const char *scheduler, unsigned servers, unsigned long picks) {
    struct loop loop = loop_new(scheduler, servers);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pick(&loop, picks);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double nanos = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%s %u %.1f ns\n", scheduler, servers, nanos / (double)(picks ? picks : 1));
    loop_free(&loop);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--count") == 0) {
        for (int at = 2; at < argc; at++) {
            for (size_t n = 0; n < sizeof SIZES / sizeof *SIZES; n++) {
                count(argv[at], SIZES[n], CASES, sizeof CASES / sizeof *CASES);
            }
        }
        count("rr", SIZES[0], REPORTS, sizeof REPORTS / sizeof *REPORTS);
    } else if (argc == 4) {
        measure(argv[1], (unsigned)strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else {
        fprintf(stderr, "usage: calls SCHEDULER SERVERS PICKS | --count SCHEDULER...\n");
        return 2;
    }
    return 0;
}
