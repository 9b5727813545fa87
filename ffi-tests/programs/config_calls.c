/* Configs made by calls: every field of every struct, there and back. */
#include "../check.h"

int main(void) {
    vsched_config *config;
    char why[512];
    OK(vsched_config_new(&config));
    vsched_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text("udp [2001:db8::1]:53");
    service.scheduler = text("mh");
    service.flags = text("mh-port, mh-fallback");
    service.one_packet = 1;
    service.persistence_timeout = 300;
    service.persistence_netmask = text("64");
    service.persistence_engine = text("sip");
    service.mh_table_index = 8;
    service.affinity_capacity = 1000;
    service.affinity_expiration = 2000;
    service.sharing = text("per-worker");
    OK(vsched_config_add_service(config, &service));
    IS(vsched_config_add_service(config, &service), VSCHED_E_REFUSED);
    HAS(config_error(config, why, sizeof why), "udp [2001:db8::1]:53");
    vsched_server server;
    memset(&server, 0, sizeof server);
    server.struct_size = sizeof server;
    server.address = text("[2001:db8::2]:53");
    server.forwarding = VSCHED_TUNNEL;
    server.weight = 7;
    server.upper_threshold = 10;
    server.lower_threshold = 5;
    server.tunnel = VSCHED_TUNNEL_GUE;
    server.tunnel_checksum = VSCHED_CHECKSUM_REMOTE;
    server.tunnel_port = 6080;
    const char *key = "udp [2001:db8::1]:53";
    OK(vsched_config_add_server(config, key, strlen(key), &server));
    IS(vsched_config_add_server(config, key, strlen(key), &server), VSCHED_E_REFUSED);
    HAS(config_error(config, why, sizeof why), "[2001:db8::2]:53");
    server.address = text("[2001:db8::3]:0");
    server.forwarding = VSCHED_ROUTE;
    server.weight = 0;
    server.tunnel = server.tunnel_checksum = server.tunnel_port = 0;
    OK(vsched_config_add_server(config, key, strlen(key), &server));
    OK(vsched_config_validate(config));
    char *rules = rules_of(config);
    TEXT_IS(rules,
            "-A -u [2001:db8::1]:53 -s mh -p 300 -M 64 --pe sip -o -b mh-fallback,mh-port"
            " --vsched-mh-table-index 8 --vsched-affinity-capacity 1000"
            " --vsched-affinity-expiration 2000 --vsched-sharing per-worker\n"
            "-a -u [2001:db8::1]:53 -r [2001:db8::2]:53 -i -w 7 --tun-type gue"
            " --tun-port 6080 --tun-remcsum -x 10 -y 5\n"
            "-a -u [2001:db8::1]:53 -r [2001:db8::3]:0 -g -w 0 -x 10 -y 5"
            " --vsched-keep-port\n");
    free(rules);
    char json[4096];
    OK(vsched_config_write_json(config, json, sizeof json, NULL));
    HAS(json, "\"mh_table_index\": 8");
    HAS(json, "1000"), HAS(json, "2000"), HAS(json, "\"sharing\": \"per-worker\"");

    /* Editing keeps the place; what is not there is refused. */
    server.address = text("[2001:db8::2]:53");
    server.weight = 3;
    server.upper_threshold = server.lower_threshold = 0;
    OK(vsched_config_edit_server(config, key, strlen(key), &server));
    server.address = text("[2001:db8::4]:53");
    IS(vsched_config_edit_server(config, key, strlen(key), &server), VSCHED_E_REFUSED);
    HAS(config_error(config, why, sizeof why), "[2001:db8::4]:53");
    IS(vsched_config_delete_server(config, key, strlen(key), "[2001:db8::4]:53", 16),
       VSCHED_E_REFUSED);
    const char *other = "fwmark 7";
    IS(vsched_config_add_server(config, other, strlen(other), &server), VSCHED_E_REFUSED);
    HAS(config_error(config, why, sizeof why), "fwmark 7");
    IS(vsched_config_edit_server(config, other, strlen(other), &server), VSCHED_E_REFUSED);
    IS(vsched_config_delete_server(config, other, strlen(other), "[2001:db8::2]:53", 16),
       VSCHED_E_REFUSED);
    IS(vsched_config_delete_service(config, other, strlen(other)), VSCHED_E_REFUSED);
    HAS(config_error(config, why, sizeof why), "fwmark 7");
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text("fwmark 7");
    IS(vsched_config_edit_service(config, &service), VSCHED_E_REFUSED);
    service.key = text(key);
    OK(vsched_config_edit_service(config, &service));
    OK(vsched_config_delete_server(config, key, strlen(key), "[2001:db8::3]:0", 15));
    rules = rules_of(config);
    TEXT_IS(rules,
            "-A -u [2001:db8::1]:53 -s wlc\n"
            "-a -u [2001:db8::1]:53 -r [2001:db8::2]:53 -g -w 3\n");
    free(rules);

    /* What not every scheduler has. */
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.key = text(key);
    service.scheduler = text("wlc");
    service.ties = text("rotate");
    service.spill_over = 140;
    service.panic_threshold = 50;
    service.slow_start = 60;
    service.slow_start_aggression = 150;
    service.slow_start_least = 20;
    service.eject = 7;
    service.eject_failures = VSCHED_ZERO;
    service.eject_interval = 1;
    service.eject_base_time = 2;
    service.eject_max_time = 3;
    service.eject_max_share = 30;
    service.eject_trials = 4;
    service.eject_outliers = VSCHED_OUTLIERS_MEDIAN;
    service.eject_factor = 3000;
    service.eject_least_outcomes = 5;
    service.eject_least_servers = 6;
    server.address = text("[2001:db8::2]:53");
    server.priority = 1;
    OK(vsched_config_edit_service(config, &service));
    OK(vsched_config_edit_server(config, key, strlen(key), &server));
    OK(vsched_config_validate(config));
    rules = rules_of(config);
    TEXT_IS(rules,
            "-A -u [2001:db8::1]:53 -s wlc --vsched-ties rotate --vsched-ejection failures=0,"
            "interval=1,base-time=2,max-time=3,max-share=30,trials=4,outliers=median,factor=3000,"
            "least-outcomes=5,least-servers=6 --vsched-slow-start"
            " duration=60,aggression=150,least=20 --vsched-spill-over 140"
            " --vsched-panic-threshold 50\n"
            "-a -u [2001:db8::1]:53 -r [2001:db8::2]:53 -g -w 3 --vsched-priority 1\n");
    free(rules);
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;

    /* A scheduler of none. */
    service.key = text("fwmark 7 inet6");
    service.scheduler = text("none");
    OK(vsched_config_add_service(config, &service));
    OK(vsched_config_delete_service(config, key, strlen(key)));
    vsched_director *director;
    OK(vsched_director_new(config, &director));
    vsched_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.family = 6;
    flow.fwmark = 7;
    vsched_pick pick;
    POISONED(pick);
    IS(vsched_director_pick_server(director, service_of(director, "fwmark 7 inet6"), &flow, &pick),
       VSCHED_NO_SERVER);
    UNTOUCHED(pick);
    vsched_director_free(director);

    /* Settings, there and back; they outlive clear. */
    vsched_settings settings, read;
    memset(&settings, 0, sizeof settings);
    settings.struct_size = sizeof settings;
    settings.kernel_rules = VSCHED_KERNEL_RULES_A;
    settings.seed = 0x1122334455667788u;
    settings.expire_quiescent_template = 1;
    settings.timeout_tcp = 900;
    settings.timeout_tcp_fin = 120;
    settings.timeout_udp = 300;
    OK(vsched_config_set_settings(config, &settings));
    OK(vsched_config_clear(config));
    POISONED(read);
    read.struct_size = sizeof read;
    OK(vsched_config_settings(config, &read));
    CHECK(memcmp(&read, &settings, sizeof read) == 0);
    rules = rules_of(config);
    TEXT_IS(rules,
            "--vsched-kernel-rules A\n--vsched-seed 1234605616436508552\n"
            "--vsched-expire-quiescent-template 1\n--set 900 120 300\n");
    free(rules);
    OK(vsched_config_validate(config));
    vsched_config_free(config);
    return DONE();
}
