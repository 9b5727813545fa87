/* The running state as text for Prometheus. */
#include "../check.h"

static int shows(const char *text, const char *what) {
    if (strstr(text, what)) return 1;
    fprintf(stderr, "no %s in %s\n", what, text);
    return 0;
}

int main(void) {
    static char text[65536];
    vsched_director *director = director_of(RULES("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    vsched_lease lease;
    size_t length, needed;
    OK(vsched_worker_connect(worker, service_of(director, KEY), &flow, NULL, 0, &pick, &lease));
    OK(vsched_director_metrics(director, 0, text, sizeof text, &length));
    CHECK(length == strlen(text));
    CHECK(shows(text, "\nvsched_service_connections_total{service=\"" KEY "\"} 1\n"));
    CHECK(shows(text, "\nvsched_service_servers{service=\"" KEY "\",state=\"up\"} 3\n"));
    CHECK(!strstr(text, "vsched_server_") && !strstr(text, "# EOF"));
    OK(vsched_director_metrics(director, VSCHED_METRICS_SERVERS, text, sizeof text, NULL));
    CHECK(shows(text, "\nvsched_server_weight{service=\"" KEY "\",server=\"" FIRST "\"} "));
    OK(vsched_director_metrics(director, VSCHED_METRICS_SERVERS | VSCHED_METRICS_OPENMETRICS, text,
                               sizeof text, &length));
    CHECK(shows(text, "# TYPE vsched_service_connections counter\n"));
    CHECK(length > 6 && !strcmp(text + length - 6, "# EOF\n"));
    IS(vsched_director_metrics(director, 0, NULL, 0, &needed), VSCHED_E_BUFFER);
    IS(vsched_director_metrics(director, 0, text, needed, &length), VSCHED_E_BUFFER);
    OK(vsched_director_metrics(director, 0, text, needed + 1, &length));
    CHECK(length == needed);
    POISONED(length);
    IS(vsched_director_metrics(director, 4, text, sizeof text, &length), VSCHED_E_ARGUMENT);
    UNTOUCHED(length);
    OK(vsched_director_error(director, text, sizeof text, NULL));
    CHECK(shows(text, "flags"));
    OK(vsched_worker_close(worker, &lease));
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
