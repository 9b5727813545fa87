/* Every function that takes a service id, with ids that name no service: the answer is
 * VSCHED_NO_SERVICE, for every scheduler, and no output is written. `scripts/complete.sh` sees that no
 * function is missing here. */
#include "../check.h"

struct caller {
    vsched_director *director;
    vsched_worker *worker;
    vsched_server_id tried;
};

static const vsched_flow *flow(void) {
    static vsched_flow flow;
    flow = flow_of(1);
    return &flow;
}

static vsched_status pick(const struct caller *by, vsched_service_id service) {
    vsched_pick pick;
    POISONED(pick);
    vsched_status status = vsched_worker_pick_server(by->worker, service, flow(), &pick);
    if (status != VSCHED_OK) UNTOUCHED(pick);
    return status;
}

static vsched_status pick_excluding(const struct caller *by, vsched_service_id service, size_t tried) {
    vsched_pick pick;
    POISONED(pick);
    vsched_status status = vsched_worker_pick_server_excluding(by->worker, service, flow(), &by->tried,
                                                               tried, &pick);
    if (status != VSCHED_OK) UNTOUCHED(pick);
    return status;
}

static vsched_status pick_again(const struct caller *by, vsched_service_id service) {
    return pick_excluding(by, service, 1);
}

static vsched_status pick_first(const struct caller *by, vsched_service_id service) {
    return pick_excluding(by, service, 0);
}

static vsched_status connect_excluding(const struct caller *by, vsched_service_id service,
                                       size_t tried) {
    vsched_pick pick;
    vsched_lease lease;
    POISONED(pick), POISONED(lease);
    vsched_status status =
        vsched_worker_connect(by->worker, service, flow(), &by->tried, tried, &pick, &lease);
    if (status == VSCHED_OK) {
        OK(vsched_worker_close(by->worker, &lease));
    } else {
        UNTOUCHED(pick), UNTOUCHED(lease);
    }
    return status;
}

static vsched_status connect_first(const struct caller *by, vsched_service_id service) {
    return connect_excluding(by, service, 0);
}

static vsched_status connect_again(const struct caller *by, vsched_service_id service) {
    return connect_excluding(by, service, 1);
}

static vsched_status director_pick(const struct caller *by, vsched_service_id service) {
    vsched_pick pick;
    POISONED(pick);
    vsched_status status = vsched_director_pick_server(by->director, service, flow(), &pick);
    if (status != VSCHED_OK) UNTOUCHED(pick);
    return status;
}

static vsched_status read_servers(const struct caller *by, vsched_service_id service) {
    vsched_server_state servers[3];
    size_t count;
    POISONED(servers), POISONED(count);
    vsched_status status =
        vsched_director_servers(by->director, service, servers, sizeof *servers, 3, &count);
    if (status != VSCHED_OK) UNTOUCHED(servers), UNTOUCHED(count);
    return status;
}

static vsched_status explained(const struct caller *by, vsched_service_id service) {
    char text[4096];
    size_t length;
    POISONED(text), POISONED(length);
    vsched_status status =
        vsched_director_explain(by->director, service, flow(), text, sizeof text, &length);
    if (status != VSCHED_OK) UNTOUCHED(text), UNTOUCHED(length);
    return status;
}

static const struct {
    const char *name;
    vsched_status (*call)(const struct caller *by, vsched_service_id service);
} calls[] = {
    {"pick_server", pick},
    {"pick_server_excluding", pick_first},
    {"pick_server_excluding, a retry", pick_again},
    {"connect", connect_first},
    {"connect, a retry", connect_again},
    {"director_pick_server", director_pick},
    {"director_servers", read_servers},
    {"director_explain", explained},
};

static void all_answer(const struct caller *by, vsched_service_id service, vsched_status expected,
                       const char *scheduler, const char *whose) {
    for (size_t at = 0; at < sizeof calls / sizeof *calls; at++) {
        vsched_status got = calls[at].call(by, service);
        if (got != expected) {
            failed();
            fprintf(stderr, "%s, %s: %s answered %u\n", scheduler, whose, calls[at].name,
                    (unsigned)got);
        }
    }
}

static uint64_t refused(const struct caller *by) {
    vsched_service_state state;
    size_t count;
    must(vsched_director_services(by->director, &state, sizeof state, 1, &count), "services");
    return state.refused;
}

static vsched_director *directs(const char *scheduler, const char *more) {
    char rules[512];
    snprintf(rules, sizeof rules,
             "-A -t 10.1.0.1:80 -s %s%s\n-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1\n"
             "-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 2\n",
             scheduler, more);
    return director_of(rules);
}

/* The same, where each worker decides by itself. */
static void per_worker(const struct caller *by, const char *scheduler, uint32_t persistence) {
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text(KEY);
    service.scheduler = text(scheduler);
    service.persistence_timeout = persistence;
    service.sharing = text("per-worker");
    OK(vsched_director_edit_service(by->director, &service, NULL));
}

static void stale_ids(const char *scheduler, int persistent, int sharing) {
    const char *more = persistent ? " -p 60" : "";
    struct caller by;
    by.director = directs(scheduler, more);
    by.worker = worker_of(by.director);
    by.tried = server_of(by.director, KEY, FIRST);
    if (sharing) per_worker(&by, scheduler, persistent ? 60 : 0);
    vsched_director *other = directs(scheduler, more);
    vsched_service_id id = service_of(by.director, KEY), foreign = service_of(other, KEY), made_up;

    /* They all answer, so that what follows is the id's fault. */
    all_answer(&by, id, VSCHED_OK, scheduler, "its own");
    uint64_t before = refused(&by);
    all_answer(&by, foreign, VSCHED_NO_SERVICE, scheduler, "another director's");
    memset(&made_up, 0, sizeof made_up);
    all_answer(&by, made_up, VSCHED_NO_SERVICE, scheduler, "zeros");
    made_up.slot = id.slot;
    made_up.generation = id.generation + 1;
    all_answer(&by, made_up, VSCHED_NO_SERVICE, scheduler, "never given");
    made_up.slot = 4294967295u;
    made_up.generation = id.generation;
    all_answer(&by, made_up, VSCHED_NO_SERVICE, scheduler, "beyond all slots");

    execute(by.director, "-D -t 10.1.0.1:80");
    all_answer(&by, id, VSCHED_NO_SERVICE, scheduler, "deleted");
    OK(vsched_director_tick(by.director, 1000));
    all_answer(&by, id, VSCHED_NO_SERVICE, scheduler, "deleted, its slot free");
    /* In the same slot, of the same key: another service. */
    char again[64];
    snprintf(again, sizeof again, "-A -t 10.1.0.1:80 -s %s", scheduler);
    execute(by.director, again);
    CHECK(service_of(by.director, KEY).slot == id.slot);
    all_answer(&by, id, VSCHED_NO_SERVICE, scheduler, "deleted and added again");
    CHECK(before == 0 && refused(&by) == 0);

    /* A service without servers is one. */
    vsched_service_id empty = service_of(by.director, KEY);
    IS(pick(&by, empty), VSCHED_NO_SERVER);
    IS(pick_again(&by, empty), VSCHED_NO_SERVER);
    IS(connect_first(&by, empty), VSCHED_NO_SERVER);
    IS(connect_again(&by, empty), VSCHED_NO_SERVER);
    IS(director_pick(&by, empty), VSCHED_NO_SERVER);
    OK(read_servers(&by, empty));
    CHECK(refused(&by) == 4);

    vsched_worker_free(by.worker);
    vsched_director_free(by.director);
    vsched_director_free(other);
}

int main(void) {
    const char *scheduler;
    for (uint32_t at = 0; (scheduler = vsched_scheduler_name(at)) != NULL; at++) {
        for (int kind = 0; kind < 4; kind++) stale_ids(scheduler, kind & 1, kind & 2);
    }
    return DONE();
}
