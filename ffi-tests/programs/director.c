/* What runs: reloads, single commands, look-ups, read-out. */
#include "../check.h"

static vsched_applied applied;

static void changed(uint32_t added, uint32_t changed, uint32_t drained, uint32_t removed) {
    CHECK(applied.struct_size == sizeof applied);
    CHECK(applied.added == added && applied.changed == changed);
    CHECK(applied.drained == drained && applied.removed == removed && applied.settings == 0);
    memset(&applied, POISON, sizeof applied);
    applied.struct_size = sizeof applied;
}

static void refused(vsched_status status, const vsched_director *director, const char *what) {
    char why[256];
    IS(status, VSCHED_E_REFUSED);
    HAS(director_error(director, why, sizeof why), what);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
}

int main(void) {
    static const char key[] = KEY;
    const size_t length = sizeof key - 1;
    vsched_director *director = director_of(RULES("rr"));
    char why[256];
    TEXT_IS(director_error(director, why, sizeof why), "");
    applied.struct_size = sizeof applied;

    /* Reloads say what they did; the same again does nothing. */
    vsched_config *config = config_of(RULES("wrr") "-A -u 10.1.0.3:53\n");
    OK(vsched_config_delete_server(config, key, length, THIRD, strlen(THIRD)));
    OK(vsched_config_execute(config, "-e -t 10.1.0.1:80 -r 10.9.0.2 -m -w 0", 37));
    OK(vsched_director_apply(director, config, &applied));
    changed(1, 1, 1, 1);
    OK(vsched_director_apply(director, config, &applied));
    changed(0, 0, 0, 0);
    vsched_settings settings;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    settings.seed = 7;
    OK(vsched_config_set_settings(config, &settings));
    OK(vsched_director_apply(director, config, &applied));
    CHECK(applied.settings == 1 && applied.changed == 0);
    POISONED(applied);
    applied.struct_size = sizeof applied;
    char *wanted = rules_of(config);
    vsched_config *running;
    OK(vsched_director_config(director, &running));
    char *runs = rules_of(running);
    TEXT_IS(runs, wanted);
    OK(vsched_config_settings(running, &settings));
    CHECK(settings.seed == 7);
    free(wanted), free(runs);
    vsched_config_free(running);
    vsched_config_free(config);

    /* Commands. */
    static const char drain[] = "ipvsadm -e -t 10.1.0.1:80 -r 10.9.0.1 -m -w 0";
    OK(vsched_director_execute(director, drain, strlen(drain), &applied));
    changed(0, 0, 1, 0);
    IS(vsched_director_execute(director, "", 0, &applied), VSCHED_E_PARSE);
    HAS(director_error(director, why, sizeof why), "expected one command");
    static const char two[] = "-D -t 10.1.0.1:80\n-D -u 10.1.0.3:53";
    IS(vsched_director_execute(director, two, strlen(two), &applied), VSCHED_E_PARSE);
    HAS(director_error(director, why, sizeof why), "expected one command");
    static const char typo[] = "-e -t 10.1.0.1:80 -r 10.9.0.1 -m -w much";
    IS(vsched_director_execute(director, typo, strlen(typo), &applied), VSCHED_E_PARSE);
    director_error(director, why, sizeof why);
    HAS(why, "column 37"), HAS(why, "much");
    static const char nobody[] = "-d -t 10.1.0.1:80 -r 10.9.0.77";
    refused(vsched_director_execute(director, nobody, strlen(nobody), &applied), director,
            "10.9.0.77");

    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text("tcp 10.1.0.5:443");
    service.scheduler = text("sh");
    service.flags = text("sh-port");
    refused(vsched_director_edit_service(director, &service, &applied), director,
            "tcp 10.1.0.5:443");
    OK(vsched_director_add_service(director, &service, &applied));
    changed(1, 0, 0, 0);
    refused(vsched_director_add_service(director, &service, &applied), director,
            "tcp 10.1.0.5:443");
    service.scheduler = text("lc");
    service.flags = text("");
    OK(vsched_director_edit_service(director, &service, &applied));
    changed(0, 1, 0, 0);
    OK(vsched_director_delete_service(director, "tcp 10.1.0.5:443", 16, &applied));
    changed(0, 0, 0, 1);
    refused(vsched_director_delete_service(director, "tcp 10.1.0.5:443", 16, &applied), director,
            "tcp 10.1.0.5:443");

    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    server.address = text("10.9.0.5:8080");
    server.weight = 3;
    server.forwarding = VSCHED_TUNNEL;
    server.tunnel = VSCHED_TUNNEL_GUE;
    server.tunnel_port = 6080;
    server.tunnel_checksum = VSCHED_CHECKSUM_FULL;
    refused(vsched_director_edit_server(director, key, length, &server, &applied), director,
            "10.9.0.5:8080");
    refused(vsched_director_delete_server(director, key, length, "10.9.0.5:8080", 13, &applied),
            director, "10.9.0.5:8080");
    refused(vsched_director_add_server(director, "fwmark 3", 8, &server, &applied), director,
            "fwmark 3");
    OK(vsched_director_add_server(director, key, length, &server, &applied));
    changed(1, 0, 0, 0);
    refused(vsched_director_add_server(director, key, length, &server, &applied), director,
            "10.9.0.5:8080");
    server.upper_threshold = 100;
    server.lower_threshold = 50;
    OK(vsched_director_edit_server(director, key, length, &server, &applied));
    changed(0, 1, 0, 0);

    /* A pick says how to reach it. */
    vsched_service_id id = service_of(director, KEY);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    OK(vsched_director_pick_server(director, id, &flow, &pick));
    CHECK(same(pick.server, server_of(director, KEY, "10.9.0.5:8080")));
    static const uint8_t address[16] = {10, 9, 0, 5};
    CHECK(memcmp(pick.address, address, 16) == 0 && pick.port == 8080 && pick.family == 4);
    CHECK(pick.forwarding == VSCHED_TUNNEL && pick.tunnel == VSCHED_TUNNEL_GUE);
    CHECK(pick.tunnel_port == 6080 && pick.tunnel_checksum == VSCHED_CHECKSUM_FULL);

    /* Read-out. */
    vsched_worker *worker = worker_of(director);
    vsched_lease lease = lease_of(worker, pick.server);
    size_t count;
    vsched_service_state services[4];
    OK(vsched_director_services(director, services, sizeof *services, 4, &count));
    CHECK(count == 2);
    TEXT_IS(services[0].key, KEY);
    TEXT_IS(services[0].scheduler, "wrr");
    CHECK(services[0].servers == 3 && services[0].connections == 1 && services[0].refused == 0);
    CHECK(services[0].id.slot == id.slot && services[0].id.generation == id.generation);
    CHECK(services[0].capacity == 0 && services[0].remembered == 0 && services[0].one_packet == 0);
    TEXT_IS(services[1].key, "udp 10.1.0.3:53");
    TEXT_IS(services[1].scheduler, "wlc");
    IS(vsched_worker_pick_server(worker, services[1].id, &flow, &pick), VSCHED_NO_SERVER);
    OK(vsched_director_services(director, services, sizeof *services, 4, &count));
    CHECK(services[1].refused == 1 && services[1].servers == 0);
    vsched_server_state servers[4];
    OK(vsched_director_servers(director, id, servers, sizeof *servers, 4, &count));
    CHECK(count == 3 && servers[0].port == 8080 && servers[0].weight == 3);
    CHECK(servers[0].active == 1 && servers[0].inactive == 0 && servers[0].connections == 1);
    CHECK(servers[0].upper_threshold == 100 && servers[0].lower_threshold == 50);
    CHECK(servers[0].forwarding == VSCHED_TUNNEL && servers[0].family == 4);
    CHECK(memcmp(servers[0].address, address, 16) == 0 && servers[0].overloaded == 0);
    CHECK(same(servers[0].id, lease.server));
    CHECK(servers[1].address[3] == 2 && servers[2].address[3] == 1);
    CHECK(servers[1].weight == 0 && servers[2].weight == 0 && servers[2].connections == 0);
    vsched_counts counts = counts_of(director, lease.server);
    CHECK(counts.active == 1 && counts.inactive == 0 && counts.persistent == 0);

    /* Listings: every view, every flag. */
    char list[2048] = "";
    for (uint32_t view = VSCHED_LIST_PLAIN; view <= VSCHED_LIST_TUNNELS; view++) {
        OK(vsched_director_list(director, view, 0, NULL, 0, list, sizeof list, &count));
        CHECK(count == strlen(list));
        HAS(list, "10.1.0.1:80"), HAS(list, "10.1.0.3:53");
        OK(vsched_director_list(director, view, 3, key, length, list, sizeof list, NULL));
        HAS(list, "10.1.0.1:80");
        CHECK(strstr(list, "10.1.0.3:53") == NULL);
    }
    OK(vsched_director_list(director, VSCHED_LIST_PLAIN, 0, NULL, 0, list, sizeof list, NULL));
    CHECK(strstr(list, "10.9.0.5") > strstr(list, "10.9.0.1"));
    OK(vsched_director_list(director, VSCHED_LIST_PLAIN, VSCHED_LIST_UNSORTED, NULL, 0, list,
                            sizeof list, NULL));
    CHECK(strstr(list, "10.9.0.5") < strstr(list, "10.9.0.1"));
    char before[2048];
    memcpy(before, list, sizeof list);
    IS(vsched_director_list(director, 6, 0, NULL, 0, list, sizeof list, &count),
       VSCHED_E_ARGUMENT);
    IS(vsched_director_list(director, 4294967295u, 0, NULL, 0, list, sizeof list, &count),
       VSCHED_E_ARGUMENT);
    director_error(director, why, sizeof why);
    HAS(why, "view 4294967295"), HAS(why, "VSCHED_LIST_TUNNELS");
    IS(vsched_director_list(director, 0, 4, NULL, 0, list, sizeof list, &count),
       VSCHED_E_ARGUMENT);
    IS(vsched_director_list(director, 0, 2147483649u, NULL, 0, list, sizeof list, &count),
       VSCHED_E_ARGUMENT);
    director_error(director, why, sizeof why);
    HAS(why, "flags 2147483649"), HAS(why, "VSCHED_LIST_EXACT");
    CHECK(memcmp(before, list, sizeof list) == 0);

    /* Look-ups. */
    vsched_service_id found;
    OK(vsched_director_service_for(director, &flow, &found));
    CHECK(found.slot == id.slot && found.generation == id.generation);
    POISONED(found);
    flow.destination_port = 81;
    IS(vsched_director_service_for(director, &flow, &found), VSCHED_NO_SERVICE);
    IS(vsched_worker_service_for(worker, &flow, &found), VSCHED_NO_SERVICE);
    memset(&flow, 0, sizeof flow);
    IS(vsched_worker_service_for(worker, &flow, &found), VSCHED_NO_SERVICE);
    IS(vsched_director_service(director, "tcp 10.1.0.77:80", 16, &found), VSCHED_NO_SERVICE);
    HAS(director_error(director, why, sizeof why), "tcp 10.1.0.77:80");
    UNTOUCHED(found);
    vsched_server_id nowhere;
    POISONED(nowhere);
    IS(vsched_director_server(director, key, length, "10.9.0.77:80", 12, &nowhere), VSCHED_STALE);
    IS(vsched_director_server(director, "fwmark 3", 8, FIRST, strlen(FIRST), &nowhere),
       VSCHED_STALE);
    UNTOUCHED(nowhere);

    /* A removed server counts until its last connection has closed. */
    OK(vsched_director_delete_server(director, key, length, "10.9.0.5:8080", 13, &applied));
    changed(0, 0, 0, 1);
    OK(vsched_director_removed_servers(director, &count));
    CHECK(count == 1);
    CHECK(counts_of(director, lease.server).active == 1);
    OK(vsched_worker_close(worker, &lease));
    OK(vsched_director_tick(director, 1000));
    OK(vsched_director_tick(director, 2000));
    OK(vsched_director_tick(director, 0));
    OK(vsched_director_removed_servers(director, &count));
    CHECK(count == 0);
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
