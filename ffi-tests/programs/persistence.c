/* Clients that stay with their server: through connect and open_pick, reloads, drains. */
#include "../check.h"

#define PERSISTENT(options)                                                       \
    "-A -t 10.1.0.1:80 -s rr -p 60 " options                                      \
    "\n"                                                                          \
    "-a -t 10.1.0.1:80 -r 10.9.0.1 -m -w 1\n-a -t 10.1.0.1:80 -r 10.9.0.2 -m -w 1\n" \
    "-a -t 10.1.0.1:80 -r 10.9.0.3 -m -w 1\n"

int main(void) {
    vsched_director *director = director_of(PERSISTENT("-M 255.255.255.0"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service = service_of(director, KEY);
    OK(vsched_director_tick(director, 1000));
    vsched_pick home = pick_of(worker, service, 1);
    CHECK(home.opaque[0] != 0 || home.opaque[1] != 0);
    for (unsigned client = 1; client < 20; client++) {
        CHECK(same(pick_of(worker, service, client).server, home.server));
    }
    /* Another network is another client. */
    CHECK(!same(pick_of(worker, service, 257).server, home.server));
    CHECK(counts_of(director, home.server).persistent == 1);
    vsched_service_state state;
    OK(vsched_director_services(director, &state, sizeof state, 1, NULL));
    CHECK(state.remembered == 2 && state.capacity >= 2 && state.forgotten == 0);
    char list[1024];
    OK(vsched_director_list(director, VSCHED_LIST_PERSISTENT, 0, NULL, 0, list, sizeof list, NULL));
    HAS(list, "persistent 60");

    /* A lease of open_pick keeps the template beyond its time; one of open does not. */
    vsched_pick other = pick_of(worker, service, 257);
    vsched_lease kept, unknown;
    OK(vsched_worker_open_pick(worker, &home, VSCHED_ACTIVE, &kept));
    OK(vsched_worker_open(worker, other.server, VSCHED_ACTIVE, &unknown));
    for (uint64_t now = 2000; now < 200000; now += 1000) OK(vsched_director_tick(director, now));
    CHECK(counts_of(director, home.server).persistent == 1);
    CHECK(counts_of(director, other.server).persistent == 0);
    CHECK(same(pick_of(worker, service, 1).server, home.server));
    OK(vsched_worker_close(worker, &unknown));

    /* Reloads, drains: the client stays, also where connect opens. */
    apply(director, PERSISTENT("-M 255.255.255.0") "-A -f 2\n");
    char drain[96];
    snprintf(drain, sizeof drain, "-e -t 10.1.0.1:80 -r 10.9.0.%u -m -w 0", home.address[3]);
    execute(director, drain);
    vsched_flow flow = flow_of(1);
    vsched_lease lease;
    vsched_pick pick;
    OK(vsched_worker_connect(worker, service, &flow, NULL, 0, &pick, &lease));
    CHECK(same(pick.server, home.server));
    CHECK(counts_of(director, home.server).active == 2);
    /* A retry goes elsewhere. */
    OK(vsched_worker_pick_server_excluding(worker, service, &flow, &home.server, 1, &pick));
    CHECK(!same(pick.server, home.server));
    OK(vsched_worker_close(worker, &lease));
    OK(vsched_worker_close(worker, &kept));
    IS(vsched_worker_close(worker, &kept), VSCHED_STALE);
    vsched_lease empty;
    memset(&empty, 0, sizeof empty);
    CHECK(memcmp(&kept, &empty, sizeof empty) == 0);

    /* With the setting, a quiesced server loses its clients. */
    vsched_config *config;
    OK(vsched_director_config(director, &config));
    vsched_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    settings.expire_quiescent_template = 1;
    OK(vsched_config_set_settings(config, &settings));
    OK(vsched_director_apply(director, config, NULL));
    vsched_config_free(config);
    CHECK(!same(pick_of(worker, service, 1).server, home.server) || home.address[3] == 0);

    /* A service of port 0 takes every port and leaves it to the server. */
    execute(director, "-A -t 10.1.0.1:0 -s rr -p 60");
    execute(director, "-a -t 10.1.0.1:0 -r 10.9.0.7:0 -m");
    flow.destination_port = 4711;
    vsched_service_id every;
    OK(vsched_worker_service_for(worker, &flow, &every));
    OK(vsched_worker_pick_server(worker, every, &flow, &pick));
    CHECK(pick.port == 4711 && pick.address[3] == 7);

    /* Room for one client: the second is served, not remembered, and counted. */
    vsched_service small;
    memset(&small, 0, sizeof small);
    small.struct_size = sizeof small;
    small.key = text("tcp 10.1.0.9:80");
    small.persistence_timeout = 60;
    small.affinity_capacity = 1;
    OK(vsched_director_add_service(director, &small, NULL));
    execute(director, "-a -t 10.1.0.9:80 -r 10.9.0.8:80 -m");
    vsched_service_id tight = service_of(director, "tcp 10.1.0.9:80");
    for (unsigned client = 0; client < 2000; client++) {
        flow = flow_of(client);
        OK(vsched_worker_pick_server(worker, tight, &flow, &pick));
    }
    vsched_service_state states[4];
    size_t count;
    OK(vsched_director_services(director, states, sizeof *states, 4, &count));
    CHECK(count == 4);
    TEXT_IS(states[3].key, "tcp 10.1.0.9:80");
    CHECK(states[3].forgotten > 0 && states[3].remembered <= states[3].capacity);
    CHECK(states[3].forgotten + states[3].remembered == 2000);
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
