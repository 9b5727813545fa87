/* Names of services and servers stand wherever keys and addresses do; user data comes back with picks. */
#include "../check.h"

#define NAMED(scheduler)                                                                            \
    "-A -t 10.1.0.1:80 -s " scheduler " --vsched-name web\n"                                        \
    "-a -t 10.1.0.1:80 -r 10.9.0.1:80 -m --vsched-name web-1 --vsched-user-data 11\n"               \
    "-a -t 10.1.0.1:80 -r 10.9.0.2:80 -m --vsched-name web-2 --vsched-user-data 18446744073709551615\n"

#define TEXT(t) t, strlen(t)

static void in_a_config(void) {
    vsched_config *config;
    vsched_server_state found[3];
    size_t count;
    must(vsched_config_new(&config), "config");
    must(vsched_config_read_rules(config, TEXT(NAMED("rr"))), "rules");
    OK(vsched_config_servers(config, TEXT("web"), found, sizeof *found, 3, &count));
    CHECK(count == 2 && found[0].user_data == UINT64_MAX && found[1].user_data == 11);
    TEXT_IS(found[0].name, "web-2");
    TEXT_IS(found[0].address_text, "10.9.0.2:80");
    IS(vsched_config_servers(config, TEXT("other"), found, sizeof *found, 3, &count),
       VSCHED_NO_SERVICE);
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    server.address = text("10.9.0.3:80"), server.name = text("web-1"), server.weight = 1;
    OK(vsched_config_add_server(config, TEXT("web"), &server));
    IS(vsched_config_validate(config), VSCHED_E_INVALID);
    char why[400];
    must(vsched_config_error(config, why, sizeof why, NULL), "error");
    HAS(why, "server 10.9.0.3:80: name: web-1 is also the name of server 10.9.0.1:80");
    server.name = text("web-3");
    OK(vsched_config_edit_server(config, TEXT("web"), &server));
    OK(vsched_config_validate(config));
    OK(vsched_config_delete_server(config, TEXT("web"), TEXT("web-3")));
    IS(vsched_config_delete_server(config, TEXT("web"), TEXT("web-3")), VSCHED_E_REFUSED);
    must(vsched_config_error(config, why, sizeof why, NULL), "error");
    HAS(why, "service tcp 10.1.0.1:80: server web-3: no such server");
    server.name = text("10");
    IS(vsched_config_edit_server(config, TEXT("web"), &server), VSCHED_E_ARGUMENT);
    must(vsched_config_error(config, why, sizeof why, NULL), "error");
    HAS(why, "name `10`: expected 1 to 253 ASCII letters");
    OK(vsched_config_delete_service(config, TEXT("web")));
    IS(vsched_config_delete_service(config, TEXT("web")), VSCHED_E_REFUSED);
    vsched_config_free(config);
}

static void in_a_director(void) {
    vsched_director *director = director_of(NAMED("rr"));
    vsched_worker *worker = worker_of(director);
    vsched_service_id service, same;
    OK(vsched_director_service(director, TEXT("web"), &service));
    OK(vsched_director_service(director, TEXT(KEY), &same));
    CHECK(memcmp(&service, &same, sizeof same) == 0);
    IS(vsched_director_service(director, TEXT("other"), &same), VSCHED_NO_SERVICE);
    vsched_flow flow = flow_of(1);
    vsched_pick pick;
    static const uint64_t expected[] = {UINT64_MAX, 11, UINT64_MAX};
    for (size_t at = 0; at < 3; at++) {
        OK(vsched_worker_pick_server(worker, service, &flow, &pick));
        CHECK(pick.user_data == expected[at]);
    }
    vsched_server_id first, named;
    OK(vsched_director_server(director, TEXT("web"), TEXT("web-1"), &named));
    OK(vsched_director_server(director, TEXT(KEY), TEXT(FIRST), &first));
    CHECK(memcmp(&named, &first, sizeof first) == 0);
    IS(vsched_director_server(director, TEXT("web"), TEXT("web-9"), &named), VSCHED_STALE);
    IS(vsched_director_server(director, TEXT("other"), TEXT("web-1"), &named), VSCHED_STALE);

    vsched_server_state state, small[2];
    OK(vsched_director_server_state(director, first, &state, sizeof state));
    TEXT_IS(state.address_text, FIRST);
    TEXT_IS(state.name, "web-1");
    CHECK(state.user_data == 11 && state.weight == 1 && state.state == VSCHED_UP);
    POISONED(small);
    OK(vsched_director_server_state(director, first, small, offsetof(vsched_server_state, tunnel)));
    IS(vsched_director_server_state(director, first, small, 1), VSCHED_E_STRUCT_SIZE);
    vsched_server_id none = {0, 0};
    IS(vsched_director_server_state(director, none, &state, sizeof state), VSCHED_STALE);

    /* Another name and other user data are no edit to the scheduler: the rotation goes on. */
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    OK(vsched_server_from_state(&state, sizeof state, &server));
    server.name = text("web-2");
    IS(vsched_director_edit_server(director, TEXT("web"), &server, NULL), VSCHED_E_INVALID);
    char why[400];
    HAS(director_error(director, why, sizeof why),
        "server 10.9.0.1:80: name: web-2 is also the name of server 10.9.0.2:80");
    server.name = text("web-one"), server.user_data = 12;
    OK(vsched_director_edit_server(director, TEXT("web"), &server, NULL));
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    CHECK(pick.user_data == 12 && memcmp(&pick.server, &first, sizeof first) == 0);
    OK(vsched_director_server(director, TEXT("web"), TEXT("web-one"), &named));
    OK(vsched_director_delete_server(director, TEXT("web"), TEXT("web-one"), NULL));
    IS(vsched_director_delete_server(director, TEXT("web"), TEXT("web-one"), NULL),
       VSCHED_E_REFUSED);
    IS(vsched_director_server_state(director, first, &state, sizeof state), VSCHED_STALE);
    OK(vsched_director_delete_service(director, TEXT("web"), NULL));
    IS(vsched_director_service(director, TEXT("web"), &service), VSCHED_NO_SERVICE);
    vsched_worker_free(worker);
    vsched_director_free(director);
}

int main(void) {
    in_a_config();
    in_a_director();
    return DONE();
}
