/* Servers that fail are ejected in the call that says so, tried again, and started slowly; backups take
   over. */
#include "../check.h"

#define EJECTS(rest) "-A -t 10.1.0.1:80 -s wrr --vsched-ejection failures=3,max-share=50 " rest "\n"
#define SERVERS "-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m\n-a -t 10.1.0.1:80 -r 10.9.0.2:80 -m\n"

static vsched_director *director;
static vsched_worker *worker;
static vsched_service_id service;

static void fail(vsched_server_id id, int times) {
    for (int n = 0; n < times; n++) OK(vsched_worker_report(worker, id, VSCHED_OUTCOME_FAILED, 0));
}

static uint32_t state_of(vsched_server_id id) {
    uint32_t state;
    must(vsched_director_state(director, id, &state), "state");
    return state;
}

static vsched_server_state observed(size_t at) {
    vsched_server_state servers[4];
    size_t count;
    OK(vsched_director_servers(director, service, servers, sizeof *servers, 4, &count));
    CHECK(at < count);
    return servers[at];
}

static vsched_service_state whole(void) {
    vsched_service_state state;
    size_t count;
    OK(vsched_director_services(director, &state, sizeof state, 1, &count));
    return state;
}

static int picked(vsched_server_id id) {
    for (int n = 0; n < 100; n++) {
        vsched_pick pick;
        vsched_flow flow;
        memset(&flow, 0, sizeof flow);
        if (vsched_worker_pick_server(worker, service, &flow, &pick) != VSCHED_OK) return -1;
        if (same(pick.server, id)) return 1;
    }
    return 0;
}

static void ejects_and_tries_again(vsched_server_id bad) {
    vsched_hold hold;
    size_t count;
    vsched_health health;
    health.struct_size = sizeof health;
    OK(vsched_director_tick(director, 0));
    fail(bad, 2);
    CHECK(state_of(bad) == VSCHED_UP && picked(bad) == 1);
    fail(bad, 1);
    CHECK(state_of(bad) == VSCHED_DOWN && picked(bad) == 0);
    CHECK(whole().up == 1 && whole().panics == 0);
    OK(vsched_director_tick(director, 1000));
    OK(vsched_director_holds(director, bad, &hold, sizeof hold, 1, &count));
    CHECK(count == 1 && hold.holder == VSCHED_HOLDER_EJECTOR && hold.state == VSCHED_DOWN);
    HAS(hold.reason, "3 failures in a row; ejection 1");
    OK(vsched_director_health(director, bad, &health));
    CHECK(health.ejected == 1 && health.state == VSCHED_DOWN);
    OK(vsched_director_tick(director, 31000));
    CHECK(state_of(bad) == VSCHED_UP && picked(bad) == 1);
    OK(vsched_director_health(director, bad, &health));
    CHECK(health.ejected == 0);
    fail(bad, 1);
    CHECK(state_of(bad) == VSCHED_DOWN);
}

static void ends_by_hand(vsched_server_id bad) {
    uint32_t state;
    IS(vsched_director_set_state(director, bad, VSCHED_HOLDER_EJECTOR, VSCHED_DOWN, NULL, 0, &state),
       VSCHED_E_ARGUMENT);
    CHECK(state_of(bad) == VSCHED_DOWN);
    OK(vsched_director_set_state(director, bad, VSCHED_HOLDER_EJECTOR, VSCHED_UP, NULL, 0, &state));
    CHECK(state == VSCHED_UP && picked(bad) == 1);
}

static void starts_slowly(vsched_server_id id) {
    uint32_t state;
    apply(director, EJECTS("--vsched-slow-start duration=100") SERVERS);
    OK(vsched_director_tick(director, 1000000));
    CHECK(observed(0).effective_weight == 1 && observed(1).effective_weight == 1);
    OK(vsched_director_set_state(director, id, VSCHED_HOLDER_HOST, VSCHED_DOWN, NULL, 0, &state));
    OK(vsched_director_set_state(director, id, VSCHED_HOLDER_HOST, VSCHED_UP, NULL, 0, &state));
    CHECK(observed(1).effective_weight == 20 && observed(0).effective_weight == 2);
    OK(vsched_director_tick(director, 1050000));
    CHECK(observed(1).effective_weight == 20 && observed(0).effective_weight == 10);
    OK(vsched_director_tick(director, 1100000));
    CHECK(observed(0).effective_weight == 1 && observed(1).effective_weight == 1);
}

static void backs_up(vsched_server_id first, vsched_server_id backup) {
    uint32_t state;
    apply(director, EJECTS("--vsched-panic-threshold 0") "-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m\n"
                    "-a -t 10.1.0.1:80 -r 10.9.0.2:80 -m --vsched-priority 1\n");
    CHECK(picked(first) == 1 && picked(backup) == 0);
    CHECK(observed(0).effective_weight == 0 && observed(0).priority == 1 && observed(0).weight == 1);
    OK(vsched_director_set_state(director, first, VSCHED_HOLDER_HOST, VSCHED_DOWN, NULL, 0, &state));
    CHECK(picked(first) == 0 && picked(backup) == 1);
    OK(vsched_director_set_state(director, first, VSCHED_HOLDER_HOST, VSCHED_UP, NULL, 0, &state));
    CHECK(picked(first) == 1 && picked(backup) == 0);
}

static void panics(vsched_server_id first, vsched_server_id second) {
    uint32_t state;
    apply(director, EJECTS("--vsched-panic-threshold 60") SERVERS);
    OK(vsched_director_set_state(director, first, VSCHED_HOLDER_HOST, VSCHED_DOWN, NULL, 0, &state));
    CHECK(picked(first) == 1 && picked(second) == 1);
    CHECK(whole().panics == 1 && whole().up == 2);
}

int main(void) {
    director = director_of(EJECTS("") SERVERS);
    worker = worker_of(director);
    service = service_of(director, KEY);
    vsched_server_id first = server_of(director, KEY, FIRST), second = server_of(director, KEY, SECOND);
    ejects_and_tries_again(first);
    ends_by_hand(first);
    OK(vsched_worker_report(worker, first, VSCHED_OUTCOME_DONE, 0));
    OK(vsched_director_tick(director, 40000));
    starts_slowly(second);
    backs_up(first, second);
    panics(first, second);
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
