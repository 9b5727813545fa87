/* Outcomes of connections: what is counted for which server, what it survives, what ticks do to it. */
#include "../check.h"

static vsched_director *director;
static vsched_worker *worker;
static vsched_server_id server;

static vsched_health health_of(vsched_server_id id) {
    vsched_health health;
    memset(&health, POISON, sizeof health);
    health.struct_size = sizeof health;
    must(vsched_director_health(director, id, &health), "health");
    CHECK(health.struct_size == sizeof health);
    return health;
}

static void counts(uint64_t done, uint64_t failed, uint64_t abandoned, uint32_t consecutive) {
    vsched_health health = health_of(server);
    CHECK(health.done == done && health.failed == failed && health.abandoned == abandoned);
    CHECK(health.consecutive_failures == consecutive);
}

static void close_with(uint32_t outcome, uint64_t latency_us) {
    vsched_lease lease = lease_of(worker, server);
    OK(vsched_worker_close_with(worker, &lease, outcome, latency_us));
    IS(vsched_worker_close_with(worker, &lease, outcome, latency_us), VSCHED_STALE);
}

static void counted_outcomes(void) {
    vsched_lease plain = lease_of(worker, server);
    OK(vsched_worker_close(worker, &plain));
    counts(0, 0, 0, 0);
    CHECK(health_of(server).latency_us == 0);
    close_with(VSCHED_OUTCOME_FAILED, 5);
    OK(vsched_worker_report(worker, server, VSCHED_OUTCOME_FAILED, 5));
    close_with(VSCHED_OUTCOME_ABANDONED, 5);
    counts(0, 2, 1, 2);
    CHECK(health_of(server).latency_us == 0);
    close_with(VSCHED_OUTCOME_DONE, 3000);
    OK(vsched_worker_report(worker, server, VSCHED_OUTCOME_DONE, 5000));
    OK(vsched_worker_report(worker, server, VSCHED_OUTCOME_DONE, 0));
    counts(3, 2, 1, 0);
    vsched_health health = health_of(server);
    CHECK(health.latency_us == 4000 && health.state == VSCHED_UP);
    CHECK(health.recent_done == 3 && health.recent_failed == 2);
    CHECK(counted(director, FIRST) == 0);
}

static void ticks(void) {
    OK(vsched_director_tick(director, 1000000));
    OK(vsched_director_tick(director, 1001000));
    CHECK(health_of(server).latency_us == 4000);
    OK(vsched_director_tick(director, 1011000));
    vsched_health health = health_of(server);
    CHECK(health.latency_us == 2000 && health.recent_done == 3 && health.recent_failed == 2);
    OK(vsched_director_tick(director, 1400000));
    OK(vsched_director_tick(director, 1800000));
    health = health_of(server);
    CHECK(health.latency_us == 0 && health.recent_done == 0 && health.recent_failed == 0);
    counts(3, 2, 1, 0);
    /* Too short to be shown, but measured. */
    OK(vsched_worker_report(worker, server, VSCHED_OUTCOME_DONE, 1));
    CHECK(health_of(server).latency_us == 1);
    OK(vsched_worker_report(worker, server, VSCHED_OUTCOME_DONE, UINT64_MAX));
    CHECK(health_of(server).latency_us > 1000000000);
    counts(5, 2, 1, 0);
}

static void reloads(void) {
    uint32_t state;
    vsched_lease lease = lease_of(worker, server);
    apply(director, RULES("wlc"));
    OK(vsched_director_set_state(director, server, VSCHED_HOLDER_HOST, VSCHED_DOWN, NULL, 0, &state));
    CHECK(health_of(server).state == VSCHED_DOWN);
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    OK(vsched_worker_close_with(worker, &lease, VSCHED_OUTCOME_FAILED, 0));
    counts(5, 3, 1, 1);
    apply(director, RULES("rr"));
    CHECK(same(server_of(director, KEY, FIRST), server));
    counts(5, 3, 1, 1);
    CHECK(health_of(server_of(director, KEY, SECOND)).done == 0);
}

static void refused(void) {
    vsched_server_id gone = server;
    gone.generation++;
    vsched_lease lease = lease_of(worker, server), before = lease, empty;
    memset(&empty, 0, sizeof empty);
    static const uint32_t others[] = {0, 4, UINT32_MAX};
    for (size_t at = 0; at < 3; at++) {
        IS(vsched_worker_close_with(worker, &lease, others[at], 1), VSCHED_E_ARGUMENT);
        IS(vsched_worker_report(worker, server, others[at], 1), VSCHED_E_ARGUMENT);
    }
    CHECK(memcmp(&lease, &before, sizeof lease) == 0);
    IS(vsched_worker_close_with(worker, &empty, VSCHED_OUTCOME_DONE, 1), VSCHED_STALE);
    IS(vsched_worker_report(worker, gone, VSCHED_OUTCOME_DONE, 1), VSCHED_STALE);
    vsched_health health;
    POISONED(health);
    health.struct_size = sizeof health;
    IS(vsched_director_health(director, gone, &health), VSCHED_STALE);
    health.struct_size = sizeof health - 1;
    IS(vsched_director_health(director, server, &health), VSCHED_E_STRUCT_SIZE);
    CHECK(untouched(&health.state, sizeof health - offsetof(vsched_health, state)));
    OK(vsched_worker_close(worker, &lease));
    counts(5, 3, 1, 1);
}

/* A caller that knows more fields than the library. */
static void a_larger_struct(void) {
    struct {
        vsched_health known;
        uint64_t later;
    } health;
    POISONED(health);
    health.known.struct_size = sizeof health;
    OK(vsched_director_health(director, server, &health.known));
    CHECK(health.known.failed == 3 && health.later == 0);
}

int main(void) {
    director = director_of(RULES("rr"));
    worker = worker_of(director);
    server = server_of(director, KEY, FIRST);
    counted_outcomes();
    ticks();
    reloads();
    refused();
    a_larger_struct();
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
