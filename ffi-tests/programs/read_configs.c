/* Configs looked at by calls, rules replayed one by one, what hosts must have. */
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif
#include "../check.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define ALL                                           \
    RULES("wrr")                                      \
    "-A -u [2001:db8::1]:53 -s sh\n"                  \
    "-a -u [2001:db8::1]:53 -r [2001:db8::5]:53 -m -w 4 -x 9 -y 3\n" \
    "-A -f 7 -6 -s lc\n"

static void services(const vsched_config *config) {
    vsched_service_state found[4];
    size_t count;
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    OK(vsched_config_services(config, found, sizeof *found, 4, &count));
    CHECK(count == 3);
    TEXT_IS(found[0].key, KEY);
    TEXT_IS(found[0].scheduler, "wrr");
    CHECK(found[0].servers == 3 && found[0].connections == 0 && found[0].id.generation == 0);
    static const uint8_t address[16] = {10, 1, 0, 1};
    CHECK(memcmp(found[0].address, address, 16) == 0 && found[0].port == 80);
    CHECK(found[0].family == 4 && found[0].protocol == 6 && found[0].fwmark == 0);
    OK(vsched_service_sockaddr(&found[0], (struct sockaddr *)(void *)&four, sizeof four, &count));
    CHECK(count == sizeof four && four.sin_family == AF_INET && four.sin_port == htons(80));
    CHECK(four.sin_addr.s_addr == htonl(0x0a010001));

    TEXT_IS(found[1].key, "udp [2001:db8::1]:53");
    CHECK(found[1].family == 6 && found[1].protocol == 17 && found[1].port == 53);
    OK(vsched_service_sockaddr(&found[1], (struct sockaddr *)(void *)&six, sizeof six, &count));
    CHECK(count == sizeof six && six.sin6_family == AF_INET6 && six.sin6_port == htons(53));
    CHECK(memcmp(&six.sin6_addr, found[1].address, 16) == 0 && found[1].address[15] == 1);

    TEXT_IS(found[2].key, "fwmark 7 inet6");
    CHECK(found[2].fwmark == 7 && found[2].family == 6 && found[2].protocol == 0);
    CHECK(found[2].port == 0 && all_zero(found[2].address, 16));
    POISONED(six);
    IS(vsched_service_sockaddr(&found[2], (struct sockaddr *)(void *)&six, sizeof six, &count),
       VSCHED_E_ARGUMENT);
    found[0].family = 5;
    IS(vsched_service_sockaddr(&found[0], (struct sockaddr *)(void *)&six, sizeof six, &count),
       VSCHED_E_ARGUMENT);
    UNTOUCHED(six);
}

static void servers(const vsched_config *config) {
    vsched_server_state found[4];
    size_t count;
    OK(vsched_config_servers(config, KEY, strlen(KEY), found, sizeof *found, 4, &count));
    CHECK(count == 3);
    TEXT_IS(found[0].address_text, THIRD); /* the newest first */
    TEXT_IS(found[2].address_text, FIRST);
    CHECK(found[0].id.slot == 0 && found[0].id.generation == 0 && found[0].active == 0);
    static const char key[] = "udp [2001:db8::1]:53";
    OK(vsched_config_servers(config, key, strlen(key), found, sizeof *found, 4, &count));
    CHECK(count == 1 && found[0].weight == 4 && found[0].upper_threshold == 9);
    TEXT_IS(found[0].address_text, "[2001:db8::5]:53");
    CHECK(found[0].lower_threshold == 3 && found[0].family == 6);

    char why[256];
    POISONED(found), POISONED(count);
    IS(vsched_config_servers(config, "tcp 1.2.3.4:5", 13, found, sizeof *found, 4, &count),
       VSCHED_NO_SERVICE);
    IS(vsched_config_servers(config, "tcp 1", 5, found, sizeof *found, 4, &count), VSCHED_E_PARSE);
    HAS(config_error(config, why, sizeof why), "tcp");
    IS(vsched_config_servers(config, "\xff", 1, found, sizeof *found, 4, &count), VSCHED_E_UTF8);
    IS(vsched_config_servers(config, KEY, strlen(KEY), found, 8, 4, &count),
       VSCHED_E_STRUCT_SIZE);
    IS(vsched_config_services(config, NULL, 8, 0, &count), VSCHED_E_STRUCT_SIZE);
    UNTOUCHED(found), UNTOUCHED(count);
}

/* The tutorial's own example: one by one a walk begins elsewhere than all at once. */
static void replay(void) {
    static const char rules[] = "# weights 2 and 1\n"
                                "ipvsadm -A -t 10.1.0.1:80 -s wrr\n"
                                "ipvsadm -a -t 10.1.0.1:80 -r 10.9.0.11 -g -w 2\n"
                                "ipvsadm -a -t 10.1.0.1:80 -r 10.9.0.12 -g -w 1\n";
    vsched_director *director = director_of("");
    size_t done;
    OK(vsched_director_replay(director, rules, strlen(rules), &done));
    CHECK(done == 3);
    vsched_director *whole = director_of(rules);
    char one_by_one[32] = "", at_once[32] = "";
    for (unsigned n = 0; n < 4; n++) {
        vsched_flow flow = flow_of(n);
        vsched_pick pick;
        OK(vsched_director_pick_server(director, service_of(director, KEY), &flow, &pick));
        snprintf(one_by_one + strlen(one_by_one), 8, "%u ", pick.address[3]);
        OK(vsched_director_pick_server(whole, service_of(whole, KEY), &flow, &pick));
        snprintf(at_once + strlen(at_once), 8, "%u ", pick.address[3]);
    }
    TEXT_IS(one_by_one, "12 11 11 12 ");
    TEXT_IS(at_once, "11 12 11 11 ");

    /* What is before a refused command stays; a line that cannot be read stops all. */
    char why[256];
    static const char refused[] = "-e -t 10.1.0.1:80 -r 10.9.0.11 -g -w 5\n-A -t 10.1.0.1:80\n-C";
    IS(vsched_director_replay(director, refused, strlen(refused), &done), VSCHED_E_REFUSED);
    CHECK(done == 1);
    HAS(director_error(director, why, sizeof why), "10.1.0.1:80");
    static const char wrong[] = "-C\n-Q";
    IS(vsched_director_replay(director, wrong, strlen(wrong), &done), VSCHED_E_PARSE);
    CHECK(done == 0);
    HAS(director_error(director, why, sizeof why), "line 2");
    IS(vsched_director_replay(director, "\xff", 1, NULL), VSCHED_E_UTF8);
    vsched_server_state left[2];
    OK(vsched_director_servers(director, service_of(director, KEY), left, sizeof *left, 2, &done));
    CHECK(done == 2 && left[1].weight == 5);
    TEXT_IS(left[1].address_text, "10.9.0.11:80");
    OK(vsched_director_replay(director, NULL, 0, &done));
    CHECK(done == 0);
    vsched_director_free(director);
    vsched_director_free(whole);
}

static void requirements(const vsched_config *config) {
    char text[16384], why[256];
    OK(vsched_config_requirements(config, NULL, 0, text, sizeof text, NULL));
    HAS(text, "ip_forward"), HAS(text, "10.9.0.1");
    OK(vsched_config_requirements(config, "director", 8, text, sizeof text, NULL));
    HAS(text, "ip_forward");
    OK(vsched_config_requirements(config, "10.9.0.1", 8, text, sizeof text, NULL));
    CHECK(strstr(text, "modprobe") == NULL);
    HAS(text, "10.9.0.1");
    OK(vsched_config_check_local(config, "director", 8, text, sizeof text, NULL));
    HAS(text, "# Here: "), HAS(text, "ip_forward");
    POISONED(text);
    IS(vsched_config_requirements(config, "nobody", 6, text, sizeof text, NULL),
       VSCHED_E_ARGUMENT);
    HAS(config_error(config, why, sizeof why), "nobody");
    IS(vsched_config_check_local(config, "nobody", 6, text, sizeof text, NULL), VSCHED_E_ARGUMENT);
    IS(vsched_config_check_local(config, "\xff", 1, text, sizeof text, NULL), VSCHED_E_UTF8);
    IS(vsched_config_requirements(config, "\xff", 1, text, sizeof text, NULL), VSCHED_E_UTF8);
    UNTOUCHED(text);
}

int main(void) {
    vsched_config *config = config_of(ALL);
    services(config);
    servers(config);
    replay();
    requirements(config);
    vsched_config_free(config);
    return DONE();
}
