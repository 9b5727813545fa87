/* All that a host does, once: makes a config, a director, a worker, picks, frees. */
#include <string.h>
#include <vsched.h>

static int use_vsched(void) {
    const char *rules = "-A -t 10.1.0.1:80 -s rr\n-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m\n";
    vsched_config *config = NULL;
    vsched_director *director = NULL;
    vsched_worker *worker = NULL;
    vsched_flow flow = {.client = {172, 16, 0, 1},
                        .client_port = 40000,
                        .destination = {10, 1, 0, 1},
                        .destination_port = 80,
                        .family = 4,
                        .protocol = 6};
    vsched_service_id service;
    vsched_pick pick;
    if (vsched_abi_version() != VSCHED_ABI_VERSION) return 2;
    if (vsched_config_new(&config) != VSCHED_OK) return 3;
    if (vsched_config_read_rules(config, rules, strlen(rules)) != VSCHED_OK) return 4;
    if (vsched_director_new(config, &director) != VSCHED_OK) return 5;
    if (vsched_worker_new(director, &worker) != VSCHED_OK) return 6;
    if (vsched_worker_service_for(worker, &flow, &service) != VSCHED_OK) return 7;
    if (vsched_worker_pick_server(worker, service, &flow, &pick) != VSCHED_OK) return 8;
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
    return 0;
}
