/* Configs that break limits, on a config and on what runs: all problems at once, each with its path
 * and its limit. Numbers and names that are not listed. */
#include "../check.h"

static char why[2048];

static vsched_service described(const char *key) {
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text(key);
    return service;
}

static vsched_server real(const char *address) {
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    server.address = text(address);
    server.weight = 1;
    return server;
}

static const vsched_director *director;
static vsched_config *config;

/* A server that no config can describe. */
static void no_server(vsched_server server, const char *part, const char *other) {
    IS(vsched_config_add_server(config, KEY, strlen(KEY), &server), VSCHED_E_ARGUMENT);
    config_error(config, why, sizeof why);
    HAS(why, part), HAS(why, other);
    server.address = text(FIRST);
    IS(vsched_config_edit_server(config, KEY, strlen(KEY), &server), VSCHED_E_ARGUMENT);
    vsched_applied applied;
    POISONED(applied);
    applied.struct_size = sizeof applied;
    IS(vsched_director_add_server(director, KEY, strlen(KEY), &server, &applied),
       VSCHED_E_ARGUMENT);
    director_error(director, why, sizeof why);
    HAS(why, part), HAS(why, other);
    IS(vsched_director_edit_server(director, KEY, strlen(KEY), &server, &applied),
       VSCHED_E_ARGUMENT);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
}

static void no_service(vsched_service service, const char *part, const char *other) {
    IS(vsched_config_add_service(config, &service), VSCHED_E_ARGUMENT);
    config_error(config, why, sizeof why);
    HAS(why, part), HAS(why, other);
    IS(vsched_director_add_service(director, &service, NULL), VSCHED_E_ARGUMENT);
    director_error(director, why, sizeof why);
    HAS(why, part), HAS(why, other);
    service.key = text(KEY);
    IS(vsched_config_edit_service(config, &service), VSCHED_E_ARGUMENT);
    IS(vsched_director_edit_service(director, &service, NULL), VSCHED_E_ARGUMENT);
}

static void bad_server(vsched_server server, const char *part, const char *limit) {
    vsched_config *with;
    OK(vsched_config_clone(config, &with));
    OK(vsched_config_add_server(with, KEY, strlen(KEY), &server));
    IS(vsched_config_validate(with), VSCHED_E_INVALID);
    config_error(with, why, sizeof why);
    HAS(why, "service " KEY ": server "), HAS(why, part), HAS(why, limit);
    vsched_applied applied;
    POISONED(applied);
    applied.struct_size = sizeof applied;
    IS(vsched_director_apply(director, with, &applied), VSCHED_E_INVALID);
    director_error(director, why, sizeof why);
    HAS(why, part), HAS(why, limit);
    IS(vsched_director_add_server(director, KEY, strlen(KEY), &server, &applied),
       VSCHED_E_INVALID);
    director_error(director, why, sizeof why);
    HAS(why, part), HAS(why, limit);
    CHECK(untouched(&applied.added, sizeof applied - sizeof applied.struct_size));
    vsched_config_free(with);
}

static void bad_service(vsched_service service, const char *part, const char *limit) {
    vsched_config *with;
    OK(vsched_config_clone(config, &with));
    OK(vsched_config_add_service(with, &service));
    IS(vsched_config_validate(with), VSCHED_E_INVALID);
    config_error(with, why, sizeof why);
    HAS(why, part), HAS(why, limit);
    IS(vsched_director_add_service(director, &service, NULL), VSCHED_E_INVALID);
    director_error(director, why, sizeof why);
    HAS(why, part), HAS(why, limit);
    vsched_config_free(with);
}

int main(void) {
    config = config_of(RULES("rr"));
    vsched_director *made = director_of(RULES("rr"));
    director = made;
    char *before = rules_of(config);

    vsched_server server = real("10.9.0.9:80");
    server.forwarding = 5;
    no_server(server, "forwarding 5", "VSCHED_MASQ");
    server = real("10.9.0.9:80");
    server.tunnel = VSCHED_TUNNEL_GUE;
    no_server(server, "tunnel 1", "forwarding is not VSCHED_TUNNEL");
    server.forwarding = VSCHED_TUNNEL;
    server.tunnel = 3;
    no_server(server, "tunnel 3", "VSCHED_TUNNEL_IPIP");
    server.tunnel = VSCHED_TUNNEL_IPIP;
    server.tunnel_port = 1;
    no_server(server, "tunnel 0", "no port");
    server.tunnel = VSCHED_TUNNEL_GUE;
    server.tunnel_port = 65536;
    no_server(server, "tunnel_port 65536", "1 to 65535");
    server.tunnel_port = 4000;
    server.tunnel_checksum = 3;
    no_server(server, "tunnel_checksum 3", "VSCHED_CHECKSUM_NONE");
    server.tunnel = VSCHED_TUNNEL_GRE;
    server.tunnel_checksum = VSCHED_CHECKSUM_FULL;
    no_server(server, "tunnel_port 4000", "VSCHED_TUNNEL_GRE");

    vsched_service service = described("tcp 10.1.0.9:80");
    service.scheduler = text("wtt");
    no_service(service, "wtt", "wrr");
    service.scheduler = text("rr");
    service.flags = text("sh-port");
    no_service(service, "flag sh-port", "scheduler has");
    service.scheduler = text("sh");
    service.flags = text("sh-port,nonsense");
    no_service(service, "flag nonsense", "scheduler has");
    service = described("tcp 10.1.0.9:80");
    service.persistence_netmask = text("255.255.255.0");
    no_service(service, "netmask 255.255.255.0", "timeout");
    service.persistence_timeout = 1;
    service.persistence_netmask = text("many");
    no_service(service, "netmask many", "prefix length");
    service = described("tcp 10.1.0.9:80");
    service.mh_table_index = 256;
    no_service(service, "mh_table_index 256", "8 to 17");
    service = described("tcp 10.1.0.9:80");
    service.sharing = text("fairly");
    no_service(service, "sharing fairly", "exact, per-worker or chunks-1 to chunks-64");
    service.sharing = text("chunks-65");
    no_service(service, "sharing chunks-65", "exact, per-worker or chunks-1 to chunks-64");
    service.sharing = text("chunks-16");
    bad_service(service, "service tcp 10.1.0.9:80: sharing: chunks-16", "exact or per-worker");
    service = described("tcp 10.1.0.9:80");
    service.ties = text("first");
    no_service(service, "ties first", "kernel or rotate");
    service = described("tcp 10.1.0.9:80");
    service.panic_threshold = 256;
    no_service(service, "panic_threshold 256", "0 to 100");
    service = described("tcp 10.1.0.9:80");
    service.slow_start_least = 1;
    no_service(service, "slow_start 0", "seconds");
    service.slow_start_least = 0;
    service.slow_start_aggression = 1;
    no_service(service, "slow_start 0", "seconds");
    service.slow_start = 1;
    service.slow_start_least = 256;
    no_service(service, "slow_start_least 256", "1 to 100");
    service = described("tcp 10.1.0.9:80");
    uint32_t *const of_ejection[] = {
        &service.eject_failures, &service.eject_interval, &service.eject_base_time,
        &service.eject_max_time, &service.eject_max_share, &service.eject_trials,
        &service.eject_outliers, &service.eject_factor, &service.eject_least_outcomes,
        &service.eject_least_servers,
    };
    for (size_t at = 0; at < sizeof of_ejection / sizeof *of_ejection; at++) {
        *of_ejection[at] = 2;
        service.eject = 0;
        no_service(service, "eject 0", "1 where other fields of ejection are given");
        service.eject = 1;
        /* The last three are of the comparison, which none is asked for. */
        if (at > 6) no_service(service, "eject_outliers 0", "VSCHED_OUTLIERS_MEAN");
        *of_ejection[at] = 0;
    }
    service.eject_outliers = 3;
    no_service(service, "eject_outliers 3", "VSCHED_OUTLIERS_NONE");
    service.eject_outliers = 0;
    service.eject_max_share = 256;
    no_service(service, "eject_max_share 256", "0 to 100");
    server = real("10.9.0.9:80");
    server.priority = 256;
    no_server(server, "priority 256", "0 to 255");
    server = real("10.9.0.9:80");
    server.reserved = 1;
    no_server(server, "reserved 1", "expected 0");

    server = real("10.9.0.9:80");
    server.weight = 2147483648u;
    bad_server(server, "weight: 2147483648", "2147483647");
    server = real("10.9.0.9:80");
    server.upper_threshold = 2147483648u;
    bad_server(server, "thresholds: upper: 2147483648", "2147483647");
    server.upper_threshold = 5;
    server.lower_threshold = 6;
    bad_server(server, "thresholds: lower: 6", "5");
    server = real("224.0.0.1:80");
    bad_server(server, "address: 224.0.0.1", "multicast");
    server = real("[2001:db8::1]:80");
    server.forwarding = VSCHED_ROUTE;
    bad_server(server, "address: an IPv6 server", "tunnel");
    server = real("10.9.0.9:80");
    server.forwarding = VSCHED_TUNNEL;
    server.tunnel = VSCHED_TUNNEL_GUE;
    bad_server(server, "tunnel: port: 0", "1 to 65535");
    server.tunnel = VSCHED_TUNNEL_GRE;
    server.tunnel_checksum = VSCHED_CHECKSUM_REMOTE;
    bad_server(server, "tunnel: checksum", "gue only");

    service = described("tcp 10.1.0.9:0");
    bad_service(service, "service tcp 10.1.0.9:0: port", "persistence");
    service = described("tcp 10.1.0.9:80");
    service.one_packet = 1;
    bad_service(service, "one_packet", "tcp");
    service = described("tcp 10.1.0.9:80");
    service.persistence_timeout = 2678401;
    bad_service(service, "persistence: timeout: 2678401", "2678400");
    service.persistence_timeout = 60;
    service.persistence_netmask = text("64");
    bad_service(service, "persistence: netmask", "IPv4");
    service = described("tcp 10.1.0.9:80");
    service.scheduler = text("mh");
    service.mh_table_index = 18;
    bad_service(service, "mh_table_index: 18", "17");
    service = described("tcp 10.1.0.9:80");
    service.persistence_engine = text("an-engine-of-too-long-a-name");
    bad_service(service, "persistence_engine", "15");
    service = described("tcp 10.1.0.9:80");
    service.affinity_capacity = 16777217;
    bad_service(service, "affinity: capacity: 16777217", "16777216");
    service = described("tcp 10.1.0.9:80");
    service.affinity_expiration = 2678401;
    bad_service(service, "affinity: expiration: 2678401", "2678400");

    service = described("tcp 10.1.0.9:80");
    service.spill_over = 1001;
    bad_service(service, "spill_over: 1001", "100 to 1000");
    service.spill_over = 100;
    service.scheduler = text("rr");
    bad_service(service, "spill_over: ", "by weight, rr does not");
    service = described("tcp 10.1.0.9:80");
    service.slow_start = VSCHED_ZERO;
    bad_service(service, "slow_start: duration: 4294967295", "1 to 2678400");
    service.slow_start = 1;
    service.scheduler = text("none");
    bad_service(service, "slow_start: ", "by weight, none does not");
    service = described("tcp 10.1.0.9:80");
    service.panic_threshold = 101;
    bad_service(service, "panic_threshold: 101", "0 to 100");
    service = described("tcp 10.1.0.9:80");
    service.ties = text("rotate");
    service.scheduler = text("wrr");
    bad_service(service, "ties: rotate", "lc, wlc, sed and nq");
    service = described("tcp 10.1.0.9:80");
    service.eject = 1;
    service.eject_trials = VSCHED_ZERO;
    bad_service(service, "ejection: trials: 4294967295", "1 to 65535");
    service.eject_trials = 0;
    service.eject_outliers = VSCHED_OUTLIERS_MEAN;
    service.eject_least_servers = 1;
    bad_service(service, "ejection: outliers: least_servers: 1", "2 to 1048576");

    /* Two problems, two lines; a director is not made of them, and says why by the config. */
    server = real("10.9.0.9:80");
    server.weight = 4294967295u;
    vsched_config *with;
    vsched_director *none;
    POISONED(none);
    OK(vsched_config_clone(config, &with));
    OK(vsched_config_add_server(with, KEY, strlen(KEY), &server));
    service = described("tcp 10.1.0.9:0");
    OK(vsched_config_add_service(with, &service));
    IS(vsched_director_new(with, &none), VSCHED_E_INVALID);
    UNTOUCHED(none);
    config_error(with, why, sizeof why);
    const char *newline = strchr(why, '\n');
    CHECK(newline != NULL && strchr(newline + 1, '\n') == NULL);
    HAS(why, "service tcp 10.1.0.9:0: port: ");
    HAS(why, "service " KEY ": server 10.9.0.9:80: weight: ");
    vsched_config_free(with);

    /* What was refused has changed nothing. */
    char *after = rules_of(config);
    TEXT_IS(after, before);
    vsched_config *running;
    OK(vsched_director_config(director, &running));
    char *runs = rules_of(running);
    TEXT_IS(runs, before);

    /* Settings. */
    vsched_settings settings, read;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    settings.kernel_rules = 2;
    settings.seed = 99;
    IS(vsched_config_set_settings(config, &settings), VSCHED_E_ARGUMENT);
    HAS(config_error(config, why, sizeof why), "kernel_rules 2");
    read.struct_size = sizeof read;
    OK(vsched_config_settings(config, &read));
    CHECK(read.seed == 0 && read.kernel_rules == VSCHED_KERNEL_RULES_B);
    settings.kernel_rules = VSCHED_KERNEL_RULES_A;
    settings.timeout_tcp = 2678401;
    OK(vsched_config_set_settings(config, &settings));
    IS(vsched_config_validate(config), VSCHED_E_INVALID);
    HAS(config_error(config, why, sizeof why), "2678400");

    free(before), free(after), free(runs);
    vsched_config_free(running);
    vsched_director_free(made);
    vsched_config_free(config);
    return DONE();
}
