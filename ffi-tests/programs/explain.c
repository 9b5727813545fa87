/* Which server is next and why, and processes that do not walk in step. */
#include "../check.h"

static int says(const char *text, const char *what) {
    if (strstr(text, what)) return 1;
    fprintf(stderr, "no %s in %s\n", what, text);
    return 0;
}

static void explains(void) {
    vsched_director *director = director_of(RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY), none = {0, 0};
    vsched_flow flow = flow_of(1);
    char text[4096], first[64];
    size_t length;
    OK(vsched_director_explain(director, service, &flow, text, sizeof text, &length));
    CHECK(length == strlen(text));
    CHECK(says(text, "\"scheduler\":\"rr\"") && says(text, "\"reason\":\"turn\""));
    /* It is the pick that follows. */
    vsched_pick pick = pick_of(worker, service, 1);
    size_t at;
    OK(vsched_pick_text(&pick, first, sizeof first, &at));
    char next[96];
    snprintf(next, sizeof next, "\"next\":\"%s\"", first);
    CHECK(says(text, next));
    OK(vsched_director_set_state(director, pick.server, VSCHED_HOLDER_HEALTH_CHECKER, VSCHED_DOWN,
                                 "no answer", 9, NULL));
    OK(vsched_director_explain(director, service, &flow, text, sizeof text, NULL));
    CHECK(says(text, "\"bar\":\"down\"") && says(text, "\"reason\":\"no answer\""));
    vsched_server_id all[3] = {server_of(director, KEY, FIRST), server_of(director, KEY, SECOND),
                               server_of(director, KEY, THIRD)};
    for (at = 0; at < 3; at++) OK(vsched_director_set_weight(director, all[at], 0, NULL));
    OK(vsched_director_explain(director, service, &flow, text, sizeof text, NULL));
    CHECK(says(text, "\"next\":null") && says(text, "\"refused\":\"all servers are quiesced\""));
    POISONED(length);
    IS(vsched_director_explain(director, none, &flow, text, sizeof text, &length),
       VSCHED_NO_SERVICE);
    UNTOUCHED(length);
    IS(vsched_director_explain(director, service, &flow, NULL, 0, &length), VSCHED_E_BUFFER);
    OK(vsched_director_explain(director, service, &flow, text, length + 1, &length));
    vsched_worker_free(worker);
    vsched_director_free(director);
}

/* Two directors with the same servers, as in two processes. */
static void start_apart(int per_worker) {
    char seen[2][64];
    size_t length;
    for (uint32_t phase = 0; phase < 2; phase++) {
        vsched_director *director =
            director_of(per_worker ? RULES("rr --vsched-sharing per-worker") : RULES("rr"));
        vsched_worker *worker;
        if (per_worker) {
            OK(vsched_worker_new_with_phase(director, phase, &worker));
        } else {
            OK(vsched_director_set_phase(director, phase));
            worker = worker_of(director);
        }
        vsched_pick pick = pick_of(worker, service_of(director, KEY), 1);
        OK(vsched_pick_text(&pick, seen[phase], sizeof seen[phase], &length));
        vsched_worker_free(worker);
        vsched_director_free(director);
    }
    CHECK(strcmp(seen[0], seen[1]) != 0);
}

int main(void) {
    explains();
    start_apart(0);
    start_apart(1);
    return DONE();
}
