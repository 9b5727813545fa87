/* Callers with an older or newer header: smaller and larger structs, in and out. */
#include "../check.h"

/* A struct of the future: today's bytes, then what this library does not know. */
#define FUTURE(type)             \
    typedef struct type##_2 {    \
        type today;              \
        uint64_t tomorrow[4];    \
    } type##_2;
FUTURE(vsched_service)
FUTURE(vsched_server)
FUTURE(vsched_settings)
FUTURE(vsched_limits)
FUTURE(vsched_applied)
FUTURE(vsched_service_state)
FUTURE(vsched_server_state)

/* The oldest forms. */
#define OLD_SERVICE offsetof(vsched_service, persistence_timeout)
#define OLD_SERVER offsetof(vsched_server, tunnel)
#define OLD_SETTINGS offsetof(vsched_settings, timeout_tcp)
#define OLD_LIMITS sizeof(vsched_limits)
#define OLD_APPLIED sizeof(vsched_applied)
#define OLD_SERVICE_STATE offsetof(vsched_service_state, remembered)
#define OLD_SERVER_STATE offsetof(vsched_server_state, tunnel)

static const uint32_t far_too[] = {0, 1, 3, 4, 7, 4097, 65536, 4294967295u};
#define MANY (sizeof far_too / sizeof *far_too)

static void services(vsched_config *config, const vsched_director *director) {
    vsched_service_2 service;
    memset(&service, 0, sizeof service);
    service.today.key = text("tcp 10.1.0.8:80");
    vsched_service *today = &service.today;
    for (size_t at = 0; at < MANY; at++) {
        today->struct_size = far_too[at];
        IS(vsched_config_add_service(config, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_config_edit_service(config, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_add_service(director, today, NULL), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_edit_service(director, today, NULL), VSCHED_E_STRUCT_SIZE);
    }
    today->struct_size = OLD_SERVICE - 1;
    IS(vsched_config_add_service(config, today), VSCHED_E_STRUCT_SIZE);

    /* What an older caller does not know is not read. */
    today->struct_size = OLD_SERVICE;
    today->persistence_timeout = today->mh_table_index = 4294967295u;
    today->persistence_netmask = text("nonsense");
    OK(vsched_config_add_service(config, today));
    OK(vsched_director_add_service(director, today, NULL));
    today->persistence_timeout = today->mh_table_index = 0;
    today->persistence_netmask = text("");

    today->struct_size = sizeof service;
    today->scheduler = text("rr");
    OK(vsched_config_edit_service(config, today));
    OK(vsched_director_edit_service(director, today, NULL));
    unsigned char *last = (unsigned char *)&service + sizeof service - 1;
    *last = 1;
    IS(vsched_config_edit_service(config, today), VSCHED_E_STRUCT_SIZE);
    IS(vsched_director_edit_service(director, today, NULL), VSCHED_E_STRUCT_SIZE);
    char why[128];
    CHECK(config_error(config, why, sizeof why)[0] != 0);
    CHECK(director_error(director, why, sizeof why)[0] != 0);
    today->struct_size = sizeof service - 1;
    OK(vsched_config_edit_service(config, today));
}

static void servers(vsched_config *config, const vsched_director *director) {
    static const char key[] = KEY;
    const size_t length = sizeof key - 1;
    vsched_server_2 server;
    memset(&server, 0, sizeof server);
    server.today.address = text("10.9.0.9:80");
    vsched_server *today = &server.today;
    for (size_t at = 0; at < MANY; at++) {
        today->struct_size = far_too[at];
        IS(vsched_config_add_server(config, key, length, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_config_edit_server(config, key, length, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_add_server(director, key, length, today, NULL), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_edit_server(director, key, length, today, NULL), VSCHED_E_STRUCT_SIZE);
    }
    today->struct_size = OLD_SERVER - 1;
    IS(vsched_config_add_server(config, key, length, today), VSCHED_E_STRUCT_SIZE);
    today->struct_size = OLD_SERVER;
    today->tunnel = today->tunnel_port = 4294967295u;
    OK(vsched_config_add_server(config, key, length, today));
    OK(vsched_director_add_server(director, key, length, today, NULL));
    today->tunnel = today->tunnel_port = 0;
    today->struct_size = sizeof server;
    today->weight = 2;
    OK(vsched_config_edit_server(config, key, length, today));
    OK(vsched_director_edit_server(director, key, length, today, NULL));
    server.tomorrow[0] = 1;
    IS(vsched_config_edit_server(config, key, length, today), VSCHED_E_STRUCT_SIZE);
    IS(vsched_director_edit_server(director, key, length, today, NULL), VSCHED_E_STRUCT_SIZE);
}

static void settings(vsched_config *config) {
    vsched_settings_2 settings;
    memset(&settings, 0, sizeof settings);
    for (size_t at = 0; at < MANY; at++) {
        settings.today.struct_size = far_too[at];
        IS(vsched_config_set_settings(config, &settings.today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_config_settings(config, &settings.today), VSCHED_E_STRUCT_SIZE);
    }
    CHECK(all_zero(&settings.today.kernel_rules, sizeof settings - sizeof(uint32_t)) == 1);
    settings.today.struct_size = OLD_SETTINGS;
    settings.today.seed = 5;
    settings.today.timeout_tcp = 4294967295u;
    OK(vsched_config_set_settings(config, &settings.today));
    settings.today.seed = 0;
    settings.today.timeout_tcp = settings.today.timeout_udp = 77;
    OK(vsched_config_settings(config, &settings.today));
    CHECK(settings.today.seed == 5 && settings.today.struct_size == OLD_SETTINGS);
    CHECK(settings.today.timeout_tcp == 77 && settings.today.timeout_udp == 77);
    POISONED(settings);
    settings.today.struct_size = sizeof settings;
    OK(vsched_config_settings(config, &settings.today));
    CHECK(settings.today.struct_size == sizeof settings);
    CHECK(settings.today.seed == 5 && settings.today.timeout_tcp == 0);
    CHECK(all_zero(settings.tomorrow, sizeof settings.tomorrow));
    OK(vsched_config_set_settings(config, &settings.today));
    settings.tomorrow[3] = 1;
    IS(vsched_config_set_settings(config, &settings.today), VSCHED_E_STRUCT_SIZE);
}

static void limits(const vsched_config *config) {
    vsched_limits_2 limits;
    memset(&limits, 0, sizeof limits);
    vsched_director *director;
    POISONED(director);
    for (size_t at = 0; at < MANY; at++) {
        limits.today.struct_size = far_too[at];
        IS(vsched_director_new_with_limits(config, &limits.today, &director),
           VSCHED_E_STRUCT_SIZE);
    }
    limits.today.struct_size = OLD_LIMITS - 1;
    IS(vsched_director_new_with_limits(config, &limits.today, &director), VSCHED_E_STRUCT_SIZE);
    limits.today.struct_size = sizeof limits;
    limits.tomorrow[3] = 1;
    IS(vsched_director_new_with_limits(config, &limits.today, &director), VSCHED_E_STRUCT_SIZE);
    UNTOUCHED(director);
    limits.tomorrow[3] = 0;
    OK(vsched_director_new_with_limits(config, &limits.today, &director));
    vsched_director_free(director);
}

static void applied(const vsched_config *config, const vsched_director *director) {
    vsched_applied_2 applied;
    POISONED(applied);
    vsched_applied *today = &applied.today;
    for (size_t at = 0; at < MANY; at++) {
        today->struct_size = far_too[at];
        IS(vsched_director_apply(director, config, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_execute(director, "-C", 2, today), VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_delete_service(director, KEY, strlen(KEY), today),
           VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_delete_server(director, KEY, strlen(KEY), FIRST, strlen(FIRST), today),
           VSCHED_E_STRUCT_SIZE);
    }
    today->struct_size = OLD_APPLIED - 1;
    IS(vsched_director_execute(director, "-C", 2, today), VSCHED_E_STRUCT_SIZE);
    CHECK(untouched(&today->added, sizeof applied - sizeof(uint32_t)));
    CHECK(counted(director, FIRST) == 0);

    /* An output may hold anything. */
    today->struct_size = sizeof applied;
    OK(vsched_director_delete_server(director, KEY, strlen(KEY), FIRST, strlen(FIRST), today));
    CHECK(today->struct_size == sizeof applied && today->removed == 1 && today->added == 0);
    CHECK(all_zero(applied.tomorrow, sizeof applied.tomorrow));
    POISONED(applied);
    today->struct_size = sizeof *today;
    OK(vsched_director_apply(director, config, today));
    CHECK(today->added == 1);
    CHECK(untouched(applied.tomorrow, sizeof applied.tomorrow));
}

static void arrays(const vsched_director *director) {
    static const size_t bad[] = {0, 1, 4097, (size_t)-1};
    vsched_service_state_2 wide[2];
    vsched_server_state_2 wider[8];
    vsched_service_id service = service_of(director, KEY);
    size_t count;
    POISONED(wide), POISONED(wider), POISONED(count);
    for (size_t at = 0; at < 4; at++) {
        IS(vsched_director_services(director, &wide[0].today, bad[at], 2, &count),
           VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_servers(director, service, &wider[0].today, bad[at], 8, &count),
           VSCHED_E_STRUCT_SIZE);
        IS(vsched_director_services(director, NULL, bad[at], 0, &count), VSCHED_E_STRUCT_SIZE);
    }
    IS(vsched_director_services(director, &wide[0].today, OLD_SERVICE_STATE - 1, 2, &count),
       VSCHED_E_STRUCT_SIZE);
    IS(vsched_director_servers(director, service, &wider[0].today, OLD_SERVER_STATE - 1, 8, &count),
       VSCHED_E_STRUCT_SIZE);
    UNTOUCHED(wide), UNTOUCHED(wider), UNTOUCHED(count);

    /* Elements of a later header. */
    OK(vsched_director_services(director, &wide[0].today, sizeof *wide, 2, &count));
    CHECK(count == 2);
    TEXT_IS(wide[0].today.key, KEY);
    TEXT_IS(wide[1].today.key, "tcp 10.1.0.8:80");
    CHECK(all_zero(wide[0].tomorrow, sizeof wide[0].tomorrow));
    CHECK(all_zero(wide[1].tomorrow, sizeof wide[1].tomorrow));
    OK(vsched_director_servers(director, service, &wider[0].today, sizeof *wider, 8, &count));
    CHECK(count == 4 && wider[0].today.port == 80 && wider[3].today.port == 80);
    CHECK(all_zero(wider[3].tomorrow, sizeof wider[3].tomorrow));
    CHECK(untouched(&wider[4], sizeof wider[4]));

    /* Elements of the first header. */
    unsigned char old[2 * OLD_SERVICE_STATE + 1];
    POISONED(old);
    OK(vsched_director_services(director, (vsched_service_state *)(void *)old, OLD_SERVICE_STATE,
                                2, NULL));
    CHECK(memcmp(old, &wide[0], OLD_SERVICE_STATE) == 0);
    CHECK(memcmp(old + OLD_SERVICE_STATE, &wide[1], OLD_SERVICE_STATE) == 0);
    CHECK(untouched(old + 2 * OLD_SERVICE_STATE, 1));
}

int main(void) {
    vsched_config *config = config_of(RULES("rr"));
    vsched_director *director = director_of(RULES("rr"));
    services(config, director);
    servers(config, director);
    settings(config);
    limits(config);
    applied(config, director);
    arrays(director);
    vsched_director_free(director);
    vsched_config_free(config);
    return DONE();
}
