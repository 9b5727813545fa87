/* Configs that are valid and too large: for a limit of ours, and for what the system gives. Each is an
 * answer, and what runs goes on. */
#if !defined(__cplusplus)
#define _POSIX_C_SOURCE 200809L
#endif
#include "../check.h"

#include <sys/resource.h>

static char why[1024];

static vsched_service large(uint32_t capacity) {
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text("tcp 10.1.0.9:80");
    service.scheduler = text("lblcr");
    service.affinity_capacity = capacity;
    return service;
}

/* What is refused leaves the service, its counts and its rotation. */
static void runs_on(const vsched_director *director, vsched_worker *worker) {
    vsched_service_id service = service_of(director, KEY);
    vsched_pick one = pick_of(worker, service, 1), other = pick_of(worker, service, 1);
    CHECK(memcmp(&one.server, &other.server, sizeof one.server) != 0);
    CHECK(counted(director, FIRST) == 1000);
    vsched_service_id none;
    IS(vsched_director_service(director, "tcp 10.1.0.9:80", 15, &none), VSCHED_NO_SERVICE);
}

/* As VSCHED_E_INVALID: the host has said how much is too much. */
static void above_the_limit(void) {
    vsched_config *config = config_of(RULES("rr"));
    uint64_t running, wanted;
    OK(vsched_config_memory(config, &running));
    vsched_service service = large(1 << 20);
    OK(vsched_config_add_service(config, &service));
    OK(vsched_config_memory(config, &wanted));
    CHECK(wanted > running + (UINT64_C(150) << 20));
    vsched_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    limits.memory = wanted - 1;
    vsched_director *director;
    POISONED(director);
    IS(vsched_director_new_with_limits(config, &limits, &director), VSCHED_E_INVALID);
    HAS(config_error(config, why, sizeof why), "lower its affinity.capacity");
    limits.reserved = 1;
    IS(vsched_director_new_with_limits(config, &limits, &director), VSCHED_E_ARGUMENT);
    HAS(config_error(config, why, sizeof why), "reserved 1");
    UNTOUCHED(director);
    limits.reserved = 0;
    vsched_config *small = config_of(RULES("rr"));
    OK(vsched_director_new_with_limits(small, &limits, &director));
    vsched_worker *worker = worker_of(director);
    vsched_lease lease = lease_of(worker, server_of(director, KEY, FIRST));
    IS(vsched_director_apply(director, config, NULL), VSCHED_E_INVALID);
    HAS(director_error(director, why, sizeof why), "tcp 10.1.0.9:80");
    runs_on(director, worker);
    IS(vsched_director_add_service(director, &service, NULL), VSCHED_E_INVALID);
    HAS(director_error(director, why, sizeof why), "memory: ");
    runs_on(director, worker);
    OK(vsched_worker_close(worker, &lease));
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(small);
    vsched_config_free(config);
}

/* As VSCHED_E_CAPACITY: the limit allows it, the system does not. */
static void beyond_the_system(void) {
    /* Much for all programs here; the map takes 3.2 GB. */
    const struct rlimit little = {(rlim_t)1500 << 20, (rlim_t)1500 << 20};
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director = director_of(RULES("rr")), *none;
    vsched_worker *worker = worker_of(director);
    vsched_lease lease = lease_of(worker, server_of(director, KEY, FIRST));
    POISONED(none);
    if (setrlimit(RLIMIT_AS, &little) != 0) return;
    vsched_service service = large(1 << 24);
    OK(vsched_config_add_service(config, &service));
    OK(vsched_config_validate(config));
    IS(vsched_director_new(config, &none), VSCHED_E_CAPACITY);
    HAS(config_error(config, why, sizeof why), "service tcp 10.1.0.9:80: affinity: capacity");
    UNTOUCHED(none);
    vsched_applied applied;
    POISONED(applied);
    applied.struct_size = sizeof applied;
    IS(vsched_director_apply(director, config, &applied), VSCHED_E_CAPACITY);
    HAS(director_error(director, why, sizeof why), "bytes");
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    runs_on(director, worker);
    IS(vsched_director_add_service(director, &service, &applied), VSCHED_E_CAPACITY);
    runs_on(director, worker);
    service.key = text(KEY);
    IS(vsched_director_edit_service(director, &service, &applied), VSCHED_E_CAPACITY);
    runs_on(director, worker);
    service.affinity_capacity = 1000;
    OK(vsched_director_edit_service(director, &service, &applied));
    OK(vsched_worker_close(worker, &lease));
    vsched_worker_free(worker);
    vsched_director_free(director);
    vsched_config_free(config);
}

int main(int count, char **arguments) {
    (void)arguments;
    above_the_limit();
    /* Tools that bring a malloc of their own end the process where the system's answers NULL. */
    if (count == 1) beyond_the_system();
    return DONE();
}
