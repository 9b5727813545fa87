/* States in which servers are held at run time: who holds, what results, what picks obey. */
#include "../check.h"

static vsched_director *director;
static vsched_worker *worker;

static uint32_t state_of(vsched_server_id server) {
    uint32_t state = 9;
    OK(vsched_director_state(director, server, &state));
    return state;
}

static uint32_t hold(vsched_server_id server, uint32_t holder, uint32_t state, const char *reason) {
    uint32_t result = 9;
    OK(vsched_director_set_state(director, server, holder, state, reason, strlen(reason), &result));
    CHECK(state_of(server) == result);
    return result;
}

/* How many of a hundred picks name the server. */
static int picked(vsched_server_id server) {
    int count = 0;
    for (unsigned client = 0; client < 100; client++) {
        vsched_pick pick = pick_of(worker, service_of(director, KEY), client);
        count += same(pick.server, server);
    }
    return count;
}

static void holders(const char *rules) {
    apply(director, rules);
    vsched_server_id server = server_of(director, KEY, FIRST);
    vsched_hold holds[3];
    size_t count;
    CHECK(hold(server, VSCHED_HOLDER_ADMINISTRATOR, VSCHED_DRAINING, "planned") == VSCHED_DRAINING);
    CHECK(hold(server, VSCHED_HOLDER_HEALTH_CHECKER, VSCHED_DOWN, "no answer") == VSCHED_DOWN);
    CHECK(hold(server, VSCHED_HOLDER_HOST, VSCHED_UP, "") == VSCHED_DOWN);
    CHECK(picked(server) == 0);
    OK(vsched_director_holds(director, server, holds, sizeof *holds, 3, &count));
    CHECK(count == 2 && holds[0].holder == VSCHED_HOLDER_ADMINISTRATOR &&
          holds[0].state == VSCHED_DRAINING && holds[1].state == VSCHED_DOWN);
    TEXT_IS(holds[0].reason, "planned");
    TEXT_IS(holds[1].reason, "no answer");
    POISONED(holds);
    IS(vsched_director_holds(director, server, holds, sizeof *holds, 1, &count), VSCHED_E_BUFFER);
    CHECK(count == 2);
    UNTOUCHED(holds);
    apply(director, rules);
    CHECK(state_of(server) == VSCHED_DOWN && picked(server) == 0);
    vsched_server_state servers[3];
    OK(vsched_director_servers(director, service_of(director, KEY), servers, sizeof *servers, 3,
                               &count));
    for (size_t at = 0; at < count; at++) {
        CHECK(servers[at].state == (same(servers[at].id, server) ? VSCHED_DOWN : VSCHED_UP));
    }
    CHECK(hold(server, VSCHED_HOLDER_HEALTH_CHECKER, VSCHED_UP, "") == VSCHED_DRAINING);
    CHECK(hold(server, VSCHED_HOLDER_ADMINISTRATOR, VSCHED_UP, "") == VSCHED_UP);
    OK(vsched_director_set_state(director, server, VSCHED_HOLDER_HOST, VSCHED_UP, NULL, 0, NULL));
    /* Without connections wlc sends all to one. */
    CHECK(picked(server) > 0 || strstr(rules, "wlc") != NULL);
    OK(vsched_director_holds(director, server, NULL, sizeof *holds, 0, &count));
    CHECK(count == 0);
}

static void all_down(void) {
    static const char *const all[] = {FIRST, SECOND, THIRD};
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    for (size_t at = 0; at < 3; at++) {
        hold(server_of(director, KEY, all[at]), VSCHED_HOLDER_HOST, VSCHED_DOWN, "");
    }
    IS(vsched_worker_pick_server(worker, service_of(director, KEY), &flow, &pick), VSCHED_NO_SERVER);
    CHECK(vsched_worker_refusal(worker) == VSCHED_REFUSED_ALL_DOWN);
    for (size_t at = 0; at < 3; at++) {
        hold(server_of(director, KEY, all[at]), VSCHED_HOLDER_HOST, VSCHED_UP, "");
    }
    OK(vsched_worker_pick_server(worker, service_of(director, KEY), &flow, &pick));
}

static void refused(void) {
    vsched_server_id server = server_of(director, KEY, FIRST), gone = server;
    gone.generation++;
    char long_reason[256], why[256];
    memset(long_reason, 'r', sizeof long_reason);
    uint32_t result;
    POISONED(result);
    const uint32_t host = VSCHED_HOLDER_HOST, down = VSCHED_DOWN;
    IS(vsched_director_set_state(director, gone, host, down, "", 0, &result), VSCHED_STALE);
    IS(vsched_director_set_state(director, server, 4, down, "", 0, &result), VSCHED_E_ARGUMENT);
    HAS(director_error(director, why, sizeof why), "holder 4");
    IS(vsched_director_set_state(director, server, host, 3, "", 0, &result), VSCHED_E_ARGUMENT);
    HAS(director_error(director, why, sizeof why), "state 3");
    IS(vsched_director_set_state(director, server, host, down, long_reason, 256, &result),
       VSCHED_E_LENGTH);
    HAS(director_error(director, why, sizeof why), "256 bytes");
    IS(vsched_director_set_state(director, server, host, down, "\xff", 1, &result), VSCHED_E_UTF8);
    IS(vsched_director_state(director, gone, &result), VSCHED_STALE);
    UNTOUCHED(result);
    CHECK(state_of(server) == VSCHED_UP);
    OK(vsched_director_set_state(director, server, host, down, long_reason, 255, &result));
    CHECK(result == down);
    vsched_hold held;
    size_t count;
    OK(vsched_director_holds(director, server, &held, sizeof held, 1, &count));
    CHECK(count == 1 && strlen(held.reason) == 255);
    IS(vsched_director_holds(director, gone, &held, sizeof held, 1, &count), VSCHED_STALE);
    hold(server, host, VSCHED_UP, "");
}

static void weights(void) {
    vsched_server_id server = server_of(director, KEY, FIRST), gone = server;
    gone.generation++;
    vsched_applied applied;
    memset(&applied, POISON, sizeof applied);
    applied.struct_size = sizeof applied;
    OK(vsched_director_set_weight(director, server, 0, &applied));
    CHECK(applied.changed == 0 && applied.drained == 1 && applied.added == 0);
    CHECK(picked(server) == 0 && state_of(server) == VSCHED_UP);
    OK(vsched_director_set_weight(director, server, 7, NULL));
    CHECK(picked(server) > 0);
    IS(vsched_director_set_weight(director, server, 1u << 31, NULL), VSCHED_E_INVALID);
    IS(vsched_director_set_weight(director, gone, 1, NULL), VSCHED_STALE);
    execute(director, "-d -t 10.1.0.1:80 -r 10.9.0.1");
    IS(vsched_director_set_weight(director, server, 1, NULL), VSCHED_STALE);
}

int main(void) {
    static const char *const schedulers[] = {RULES("rr"), RULES("wrr"), RULES("wlc"), RULES("sh"),
                                             RULES("mh")};
    director = director_of(RULES("rr"));
    worker = worker_of(director);
    for (size_t at = 0; at < sizeof schedulers / sizeof *schedulers; at++) {
        holders(schedulers[at]);
        all_down();
    }
    refused();
    apply(director, RULES("rr"));
    weights();
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
