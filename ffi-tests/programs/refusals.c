/* Why a pick found no server. */
#include "../check.h"

static vsched_director *director;
static vsched_worker *worker;

static void because(uint32_t refusal, const vsched_server_id *tried, size_t count) {
    vsched_flow flow = flow_of(1);
    vsched_service_id service = service_of(director, KEY);
    vsched_pick pick;
    vsched_lease lease;
    POISONED(pick), POISONED(lease);
    IS(vsched_worker_pick_server_excluding(worker, service, &flow, tried, count, &pick),
       VSCHED_NO_SERVER);
    CHECK(vsched_worker_refusal(worker) == refusal);
    IS(vsched_worker_connect(worker, service, &flow, tried, count, &pick, &lease),
       VSCHED_NO_SERVER);
    CHECK(vsched_worker_refusal(worker) == refusal);
    if (count == 0) {
        IS(vsched_worker_pick_server(worker, service, &flow, &pick), VSCHED_NO_SERVER);
        CHECK(vsched_worker_refusal(worker) == refusal);
    }
    UNTOUCHED(pick), UNTOUCHED(lease);
}

int main(void) {
    director = director_of(RULES("wlc"));
    worker = worker_of(director);
    CHECK(vsched_worker_refusal(worker) == 0);
    vsched_server_id all[3] = {server_of(director, KEY, FIRST), server_of(director, KEY, SECOND),
                               server_of(director, KEY, THIRD)};
    because(VSCHED_REFUSED_ALL_TRIED, all, 3);
    /* The latest refusal stays after a pick that succeeds. */
    (void)pick_of(worker, service_of(director, KEY), 1);
    CHECK(vsched_worker_refusal(worker) == VSCHED_REFUSED_ALL_TRIED);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_service_id none = {0, 0};
    IS(vsched_worker_pick_server(worker, none, &flow, &pick), VSCHED_NO_SERVICE);
    CHECK(vsched_worker_refusal(worker) == VSCHED_REFUSED_NO_SERVICE);
    for (size_t at = 0; at < 3; at++) {
        OK(vsched_director_set_state(director, all[at], VSCHED_HOLDER_HOST, VSCHED_DOWN, NULL, 0,
                                     NULL));
    }
    because(VSCHED_REFUSED_ALL_DOWN, NULL, 0);
    for (size_t at = 0; at < 3; at++) OK(vsched_director_set_weight(director, all[at], 0, NULL));
    because(VSCHED_REFUSED_ALL_QUIESCED, NULL, 0);
    apply(director, "-A -t 10.1.0.1:80 -s wlc");
    because(VSCHED_REFUSED_NO_SERVER, NULL, 0);
    apply(director, "-A -t 10.1.0.1:80 -s none");
    because(VSCHED_REFUSED_NO_SCHEDULER, NULL, 0);
    apply(director, "-A -t 10.1.0.1:80 -s wlc\n-a -t 10.1.0.1:80 -r 10.9.0.4 -m -x 1");
    vsched_lease lease;
    OK(vsched_worker_open(worker, server_of(director, KEY, "10.9.0.4:80"), VSCHED_ACTIVE, &lease));
    because(VSCHED_REFUSED_ALL_OVERLOADED, NULL, 0);
    OK(vsched_worker_close(worker, &lease));
    apply(director, "-A -t 10.1.0.1:80 -s sh\n-a -t 10.1.0.1:80 -r 10.9.0.5 -m\n"
                    "-a -t 10.1.0.1:80 -r 10.9.0.6 -m");
    pick = pick_of(worker, service_of(director, KEY), 1);
    OK(vsched_director_set_weight(director, pick.server, 0, NULL));
    because(VSCHED_REFUSED_NOT_THIS_FLOW, NULL, 0);
    for (uint32_t at = VSCHED_REFUSED_NO_SERVICE; at <= VSCHED_REFUSED_NOT_THIS_FLOW; at++) {
        CHECK(strcmp(vsched_refusal_text(at), vsched_refusal_text(0)) != 0);
    }
    TEXT_IS(vsched_refusal_text(0), "unknown refusal");
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
