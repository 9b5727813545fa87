/* A pick in a loop through the C library, for instruction counts: calls SCHEDULER SERVERS PICKS.
 *
 * The twin of benches/calls.rs: the same config, the same flow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vsched.h>

static void must(vsched_status status, const char *what) {
    if (status != VSCHED_OK) {
        fprintf(stderr, "%s: %s\n", what, vsched_status_text(status));
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: calls SCHEDULER SERVERS PICKS\n");
        return 2;
    }
    unsigned servers = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned long picks = strtoul(argv[3], NULL, 10);
    vsched_config *config;
    must(vsched_config_new(&config), "config");
    char line[128];
    snprintf(line, sizeof line, "-A -t 10.1.0.1:1000 -s %s", argv[1]);
    must(vsched_config_execute(config, line, strlen(line)), line);
    for (unsigned n = 1; n <= servers; n++) {
        snprintf(line, sizeof line, "-a -t 10.1.0.1:1000 -r 10.9.%u.%u:80 -m -w %u", n >> 8,
                 n & 255, (n - 1) % 3 + 1);
        must(vsched_config_execute(config, line, strlen(line)), line);
    }
    vsched_director *director;
    must(vsched_director_new(config, &director), "director");
    vsched_worker *worker;
    must(vsched_worker_new(director, &worker), "worker");
    vsched_flow flow = {.client = {172, 16, 0, 1},
                        .client_port = 40000,
                        .destination = {10, 1, 0, 1},
                        .destination_port = 1000,
                        .family = 4,
                        .protocol = 6};
    vsched_service_id service;
    must(vsched_worker_service_for(worker, &flow, &service), "service");
    vsched_pick pick;
    unsigned long found = 0;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned long n = 0; n < picks; n++) {
        found += vsched_worker_pick_server(worker, service, &flow, &pick) == VSCHED_OK;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double nanos = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%s %u %.1f ns\n", argv[1], servers, nanos / (double)(picks ? picks : 1));
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
    return found == picks ? 0 : 1;
}
