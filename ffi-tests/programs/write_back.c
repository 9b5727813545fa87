/* What was read, written back: unchanged it changes nothing, and a change of one field changes that
 * field alone, in a config and in a director. */
#include "../check.h"

#define SERVICE "udp 10.1.0.1:53"
#define SERVER "10.9.0.1:53"

static const char whole[] =
    "{\"kernel_rules\": \"A\", \"services\": [{\"key\": \"" SERVICE "\", \"scheduler\": \"mh\", "
    "\"flags\": [\"mh-fallback\", \"mh-port\", \"flag-3\"], \"mh_table_index\": 9, "
    "\"persistence\": {\"timeout\": 77, \"netmask\": \"255.255.255.128\"}, "
    "\"persistence_engine\": \"0123456789abcde\", \"one_packet\": true, "
    "\"affinity\": {\"capacity\": 1234, \"expiration\": 4321}, \"sharing\": \"per-worker\", "
    "\"servers\": ["
    "{\"address\": \"" SERVER "\", \"forwarding\": {\"tunnel\": {\"type\": \"gue\", \"port\": 6080, "
    "\"checksum\": \"remote\"}}, \"weight\": 7, \"thresholds\": {\"upper\": 4000000000, \"lower\": 9}},"
    "{\"address\": \"10.9.0.2:0\", \"forwarding\": {\"tunnel\": {\"type\": \"gre\", "
    "\"checksum\": \"full\"}}},"
    "{\"address\": \"10.9.0.3:1\", \"forwarding\": {\"tunnel\": {\"type\": \"ipip\"}}},"
    "{\"address\": \"10.9.0.4:1\", \"forwarding\": \"masq\"},"
    "{\"address\": \"10.9.0.5:1\", \"forwarding\": \"route\"},"
    "{\"address\": \"10.9.0.6:1\", \"forwarding\": \"local\"},"
    "{\"address\": \"10.9.0.7:1\", \"forwarding\": \"bypass\", \"weight\": 0}"
    "]}, {\"key\": \"tcp [2001:db8::1]:0\", \"scheduler\": \"none\", "
    "\"persistence\": {\"timeout\": 2678400, \"netmask\": 128}, \"servers\": []}, "
    "{\"key\": \"fwmark 4294967295 inet6\", \"scheduler\": \"lblcr\", "
    "\"affinity\": {\"capacity\": 1, \"expiration\": 2678400}, \"servers\": []}]}";

/* Settings that not every scheduler has, none of them the default. */
static const char other[] =
    "{\"services\": [{\"key\": \"" SERVICE "\", \"scheduler\": \"sed\", \"ties\": \"rotate\", "
    "\"ejection\": {\"failures\": 0, \"interval\": 11, \"base_time\": 12, \"max_time\": 13, "
    "\"max_share\": 0, \"trials\": 14, \"outliers\": {\"method\": \"median\", \"factor\": 15, "
    "\"least_outcomes\": 4294967295, \"least_servers\": 16}}, "
    "\"slow_start\": {\"duration\": 17, \"aggression\": 18, \"least\": 19}, "
    "\"spill_over\": 140, \"panic_threshold\": 20, \"name\": \"dns\", "
    "\"servers\": [{\"address\": \"" SERVER "\", \"priority\": 21, "
    "\"user_data\": \"18446744073709551615\", \"name\": \"dns-1\"}]}]}";

/* What rr and wrr alone can have. */
static const char in_turn[] =
    "{\"services\": [{\"key\": \"" SERVICE "\", \"scheduler\": \"rr\", \"sharing\": \"chunks-16\", "
    "\"servers\": [{\"address\": \"" SERVER "\"}]}]}";

static char *json_of(const vsched_config *config) {
    size_t length = 0;
    (void)!vsched_config_write_json(config, NULL, 0, &length);
    char *text = (char *)malloc(length + 1);
    must(vsched_config_write_json(config, text, length + 1, NULL), "json");
    return text;
}

static vsched_config *read_config(const char *json) {
    vsched_config *config;
    must(vsched_config_new(&config), "config");
    must(vsched_config_read_json(config, json, strlen(json)), "json");
    must(vsched_config_validate(config), "json");
    return config;
}

/* The text with `old`, which stands there once, replaced. */
static char *replaced(const char *text, const char *old, const char *now) {
    const char *at = strstr(text, old);
    if (at == NULL || strstr(at + 1, old) != NULL) {
        fprintf(stderr, "not once: %s\n", old);
        exit(1);
    }
    char *result = (char *)malloc(strlen(text) + strlen(now) + 1);
    sprintf(result, "%.*s%s%s", (int)(at - text), text, now, at + strlen(old));
    return result;
}

typedef struct edit {
    void (*service)(vsched_service *);
    void (*server)(vsched_server *);
    const char *old, *now;
} edit;

#define SERVICE_EDIT(name, statement) \
    static void name(vsched_service *service) { statement; }
#define SERVER_EDIT(name, statement) \
    static void name(vsched_server *server) { statement; }

SERVICE_EDIT(same_service, (void)service)
SERVER_EDIT(same_server, (void)server)
SERVICE_EDIT(flags, service->flags = text("mh-fallback,flag-3"))
SERVICE_EDIT(table, service->mh_table_index = 10)
SERVICE_EDIT(timeout, service->persistence_timeout = 78)
SERVICE_EDIT(netmask, service->persistence_netmask = text("255.255.255.255"))
SERVICE_EDIT(engine, service->persistence_engine = text("sip"))
SERVICE_EDIT(packet, service->one_packet = 0)
SERVICE_EDIT(capacity, service->affinity_capacity = 1235)
SERVICE_EDIT(expiration, service->affinity_expiration = 4322)
SERVICE_EDIT(sharing, service->sharing = text("exact"))
SERVICE_EDIT(chunks, service->sharing = text("chunks-64"))
SERVICE_EDIT(ties, service->ties = text("kernel"))
SERVICE_EDIT(spill, service->spill_over = 0)
SERVICE_EDIT(factor_of_tiers, service->spill_over = 1000)
SERVICE_EDIT(threshold, service->panic_threshold = 100)
SERVICE_EDIT(duration, service->slow_start = 22)
SERVICE_EDIT(aggression, service->slow_start_aggression = 22)
SERVICE_EDIT(share, service->slow_start_least = 22)
SERVICE_EDIT(in_a_row, service->eject_failures = 22)
SERVICE_EDIT(usual_in_a_row, service->eject_failures = 0)
SERVICE_EDIT(interval, service->eject_interval = 22)
SERVICE_EDIT(base_time, service->eject_base_time = 22)
SERVICE_EDIT(max_time, service->eject_max_time = 22)
SERVICE_EDIT(max_share, service->eject_max_share = 22)
SERVICE_EDIT(usual_share, service->eject_max_share = 0)
SERVICE_EDIT(trials, service->eject_trials = 0)
SERVICE_EDIT(method, service->eject_outliers = VSCHED_OUTLIERS_MEAN)
SERVICE_EDIT(factor, service->eject_factor = 22)
SERVICE_EDIT(outcomes, service->eject_least_outcomes = 0)
SERVICE_EDIT(least, service->eject_least_servers = 22)
SERVER_EDIT(priority, server->priority = 255)
SERVICE_EDIT(renamed, service->name = text("resolver"))
SERVICE_EDIT(unnamed, service->name.length = 0)
SERVER_EDIT(data, server->user_data = 23)
SERVER_EDIT(renamed_server, server->name = text("x/dns-2@here"))
SERVER_EDIT(weight, server->weight = 8)
SERVER_EDIT(upper, server->upper_threshold = 4000000001u)
SERVER_EDIT(lower, server->lower_threshold = 10)
SERVER_EDIT(port, server->tunnel_port = 6081)
SERVER_EDIT(checksum, server->tunnel_checksum = VSCHED_CHECKSUM_FULL)

/* As vsched_config_write_json prints. */
static const edit edits[] = {
    {same_service, NULL, "4321", "4321"},
    {NULL, same_server, "6080", "6080"},
    {flags, NULL, "\"mh-port\",\n        ", ""},
    {table, NULL, "\"mh_table_index\": 9", "\"mh_table_index\": 10"},
    {timeout, NULL, "\"timeout\": 77", "\"timeout\": 78"},
    {netmask, NULL, "255.255.255.128", "255.255.255.255"},
    {engine, NULL, "0123456789abcde", "sip"},
    {packet, NULL, "\"one_packet\": true,\n      ", ""},
    {capacity, NULL, "1234,", "1235,"},
    {expiration, NULL, "4321", "4322"},
    {sharing, NULL, "\"sharing\": \"per-worker\",\n      ", ""},
    {NULL, weight, "\"weight\": 7", "\"weight\": 8"},
    {NULL, upper, "4000000000", "4000000001"},
    {NULL, lower, "\"lower\": 9", "\"lower\": 10"},
    {NULL, port, "6080", "6081"},
    {NULL, checksum, "\"checksum\": \"remote\"", "\"checksum\": \"full\""},
};

static const edit other_edits[] = {
    {same_service, NULL, "140", "140"},
    {NULL, same_server, "21", "21"},
    {ties, NULL, "\"ties\": \"rotate\",\n      ", ""},
    {spill, NULL, "\"spill_over\": 140,\n      ", ""},
    {factor_of_tiers, NULL, "140", "1000"},
    {threshold, NULL, "\"panic_threshold\": 20", "\"panic_threshold\": 100"},
    {duration, NULL, "\"duration\": 17", "\"duration\": 22"},
    {aggression, NULL, "\"aggression\": 18", "\"aggression\": 22"},
    {share, NULL, "\"least\": 19", "\"least\": 22"},
    {in_a_row, NULL, "\"failures\": 0", "\"failures\": 22"},
    {usual_in_a_row, NULL, "\"failures\": 0", "\"failures\": 5"},
    {interval, NULL, "\"interval\": 11", "\"interval\": 22"},
    {base_time, NULL, "\"base_time\": 12", "\"base_time\": 22"},
    {max_time, NULL, "\"max_time\": 13", "\"max_time\": 22"},
    {max_share, NULL, "\"max_share\": 0", "\"max_share\": 22"},
    {usual_share, NULL, "\"max_share\": 0", "\"max_share\": 50"},
    {trials, NULL, "\"trials\": 14", "\"trials\": 1"},
    {method, NULL, "\"method\": \"median\"", "\"method\": \"mean\""},
    {factor, NULL, "\"factor\": 15", "\"factor\": 22"},
    {outcomes, NULL, "4294967295", "100"},
    {least, NULL, "\"least_servers\": 16", "\"least_servers\": 22"},
    {NULL, priority, "\"priority\": 21", "\"priority\": 255"},
    {renamed, NULL, "\"dns\"", "\"resolver\""},
    {unnamed, NULL, "\"name\": \"dns\",\n      ", ""},
    {NULL, data, "\"18446744073709551615\"", "23"},
    {NULL, renamed_server, "\"dns-1\"", "\"x/dns-2@here\""},
};

static const edit turn_edits[] = {
    {same_service, NULL, "chunks-16", "chunks-16"},
    {sharing, NULL, "\"sharing\": \"chunks-16\",\n      ", ""},
    {chunks, NULL, "chunks-16", "chunks-64"},
};

/* Reads the first service or its first server, from a config or what runs, edits it, writes it back. */
static void write_back(vsched_config *config, vsched_director *director, const edit *edit) {
    vsched_service_state services[3];
    vsched_server_state servers[7];
    vsched_service service;
    vsched_server server;
    size_t count;
    if (director != NULL) {
        must(vsched_director_services(director, services, sizeof *services, 3, &count), "read");
        must(vsched_director_servers(director, services[0].id, servers, sizeof *servers, 7, &count),
             "read");
    } else {
        must(vsched_config_services(config, services, sizeof *services, 3, &count), "read");
        must(vsched_config_servers(config, SERVICE, strlen(SERVICE), servers, sizeof *servers, 7,
                                   &count), "read");
    }
    CHECK(count == 7 || count == 1);
    const vsched_server_state *first = &servers[count - 1];
    TEXT_IS(first->address_text, SERVER);
    service.struct_size = sizeof service;
    OK(vsched_service_from_state(&services[0], sizeof *services, &service));
    server.struct_size = sizeof server;
    OK(vsched_server_from_state(first, sizeof *servers, &server));
    if (edit->service != NULL) {
        edit->service(&service);
        if (director != NULL) OK(vsched_director_edit_service(director, &service, NULL));
        else OK(vsched_config_edit_service(config, &service));
    } else {
        edit->server(&server);
        if (director != NULL) {
            OK(vsched_director_edit_server(director, SERVICE, strlen(SERVICE), &server, NULL));
        } else {
            OK(vsched_config_edit_server(config, SERVICE, strlen(SERVICE), &server));
        }
    }
}

/* Every service and every server, written back as it is. */
static void everything(vsched_config *config) {
    vsched_service_state services[3];
    vsched_server_state servers[7];
    size_t count;
    char *before = json_of(config);
    OK(vsched_config_services(config, services, sizeof *services, 3, &count));
    CHECK(count == 3);
    for (size_t at = 0; at < 3; at++) {
        vsched_service service;
        service.struct_size = sizeof service;
        OK(vsched_service_from_state(&services[at], sizeof *services, &service));
        OK(vsched_config_edit_service(config, &service));
    }
    OK(vsched_config_servers(config, SERVICE, strlen(SERVICE), servers, sizeof *servers, 7, &count));
    for (size_t at = 0; at < count; at++) {
        vsched_server server;
        server.struct_size = sizeof server;
        OK(vsched_server_from_state(&servers[at], sizeof *servers, &server));
        OK(vsched_config_edit_server(config, SERVICE, strlen(SERVICE), &server));
    }
    char *after = json_of(config);
    TEXT_IS(after, before);
    free(after);
    free(before);
}

/* Structs of other versions of the header. */
static void sizes(const vsched_config *config) {
    vsched_service_state state;
    vsched_service service, old;
    vsched_service_state states[3];
    OK(vsched_config_services(config, states, sizeof *states, 3, NULL));
    state = states[0];
    POISONED(service);
    service.struct_size = sizeof service;
    vsched_service untouched_service = service;
    IS(vsched_service_from_state(&state, 8, &service), VSCHED_E_STRUCT_SIZE);
    IS(vsched_service_from_state(&state, 5000, &service), VSCHED_E_STRUCT_SIZE);
    CHECK(memcmp(&service, &untouched_service, sizeof service) == 0);
    /* A header that knew no flags: what it does not hold is the default. */
    OK(vsched_service_from_state(&state, offsetof(vsched_service_state, flags), &service));
    CHECK(service.flags.length == 0 && service.one_packet == 1 && service.mh_table_index == 0);
    CHECK(service.key.data == state.key && service.key.length == strlen(SERVICE));
    POISONED(old);
    old.struct_size = offsetof(vsched_service, persistence_timeout);
    OK(vsched_service_from_state(&state, sizeof state, &old));
    CHECK(old.flags.data == state.flags && old.persistence_timeout == 0xA5A5A5A5u);
    vsched_server_state server_state;
    memset(&server_state, 0, sizeof server_state);
    vsched_server server;
    POISONED(server);
    server.struct_size = sizeof server;
    IS(vsched_server_from_state(&server_state, 8, &server), VSCHED_E_STRUCT_SIZE);
    server.struct_size = 7;
    IS(vsched_server_from_state(&server_state, sizeof server_state, &server), VSCHED_E_STRUCT_SIZE);
}

static void each(const char *text, const edit *edits, size_t count) {
    for (size_t at = 0; at < count; at++) {
        vsched_config *config = read_config(text);
        char *before = json_of(config);
        char *expected = replaced(before, edits[at].old, edits[at].now);
        write_back(config, NULL, &edits[at]);
        char *after = json_of(config);
        TEXT_IS(after, expected);
        free(after);

        vsched_config *start = read_config(text);
        vsched_director *director;
        OK(vsched_director_new(start, &director));
        write_back(NULL, director, &edits[at]);
        vsched_config *runs;
        OK(vsched_director_config(director, &runs));
        after = json_of(runs);
        TEXT_IS(after, expected);
        free(after);
        free(expected);
        free(before);
        vsched_director_free(director);
        vsched_config_free(runs);
        vsched_config_free(start);
        vsched_config_free(config);
    }
}

/* What has no ejection and no slow start says so with zeros; of both, all is read. */
static void shown(void) {
    vsched_config *config = read_config(other);
    vsched_service_state state;
    OK(vsched_config_services(config, &state, sizeof state, 1, NULL));
    CHECK(state.eject == 1 && state.eject_failures == 0 && state.eject_max_share == 0);
    CHECK(state.eject_outliers == VSCHED_OUTLIERS_MEDIAN && state.eject_trials == 14);
    vsched_service service;
    service.struct_size = sizeof service;
    OK(vsched_service_from_state(&state, sizeof state, &service));
    CHECK(service.eject_failures == VSCHED_ZERO && service.eject_max_share == VSCHED_ZERO);
    memset(&service.ties, 0, sizeof service - offsetof(vsched_service, ties));
    OK(vsched_config_edit_service(config, &service));
    OK(vsched_config_services(config, &state, sizeof state, 1, NULL));
    TEXT_IS(state.ties, "kernel");
    CHECK(all_zero(&state.spill_over, sizeof state - offsetof(vsched_service_state, spill_over)));
    OK(vsched_service_from_state(&state, sizeof state, &service));
    CHECK(all_zero(&service.spill_over, sizeof service - offsetof(vsched_service, spill_over)));
    /* Of ejection nothing but that there is one: all as usual. */
    service.eject = 1;
    OK(vsched_config_edit_service(config, &service));
    char *rules = rules_of(config);
    HAS(rules, " -s sed --vsched-ejection failures=5\n");
    free(rules);
    /* An older header knows none of it. */
    service.struct_size = offsetof(vsched_service, ties);
    OK(vsched_config_edit_service(config, &service));
    rules = rules_of(config);
    HAS(rules, " -s sed\n");
    free(rules);
    vsched_config_free(config);
}

int main(void) {
    each(whole, edits, sizeof edits / sizeof *edits);
    each(other, other_edits, sizeof other_edits / sizeof *other_edits);
    each(in_turn, turn_edits, sizeof turn_edits / sizeof *turn_edits);
    shown();
    vsched_config *config = read_config(whole);
    everything(config);
    sizes(config);

    /* The complete rules text says as much as JSON, and the text of ipvsadm less. */
    char *json = json_of(config);
    char *rules = rules_of(config);
    HAS(rules, "--vsched-kernel-rules A\n"), HAS(rules, " --vsched-mh-table-index 9");
    HAS(rules, " --vsched-upper-threshold 4000000000 -y 9"), HAS(rules, " --vsched-bypass -w 0");
    HAS(rules, " --vsched-affinity-capacity 1234 --vsched-affinity-expiration 4321");
    HAS(rules, " --vsched-sharing per-worker\n"), HAS(rules, " --vsched-keep-port\n");
    vsched_config *again = config_of(rules);
    char *reread = json_of(again);
    TEXT_IS(reread, json);
    free(reread);
    free(rules);
    free(json);
    vsched_config_free(again);
    vsched_config_free(config);

    /* Settings and daemons, too. */
    static const char settings[] =
        "{\"kernel_rules\": \"A\", \"seed\": 18446744073709551615, "
        "\"expire_quiescent_template\": true, \"timeouts\": {\"tcp\": 900, \"udp\": 1}, "
        "\"daemons\": [{\"role\": \"backup\", \"interface\": \"eth0\", \"sync_id\": 255, "
        "\"max_len\": 1472, \"group\": \"224.0.0.81\", \"port\": 8848, \"ttl\": 1}]}";
    OK(vsched_config_new(&config));
    OK(vsched_config_read_json(config, settings, strlen(settings)));
    json = json_of(config);
    rules = rules_of(config);
    TEXT_IS(rules,
            "--vsched-kernel-rules A\n--vsched-seed 18446744073709551615\n"
            "--vsched-expire-quiescent-template 1\n--set 900 0 1\n"
            "--start-daemon backup --mcast-interface eth0 --syncid 255 --sync-maxlen 1472"
            " --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1\n");
    again = config_of(rules);
    reread = json_of(again);
    TEXT_IS(reread, json);
    char why[256];
    static const char wrong[] = "-A -f 7\n-A -f 8 --vsched-sharing each";
    IS(vsched_config_read_rules(again, wrong, strlen(wrong)), VSCHED_E_PARSE);
    TEXT_IS(config_error(again, why, sizeof why),
            "line 2, column 26: `each`: illegal sharing: expected exact, per-worker or chunks-1 to"
            " chunks-64");
    free(reread);
    free(rules);
    free(json);
    vsched_config_free(again);
    vsched_config_free(config);
    return DONE();
}
