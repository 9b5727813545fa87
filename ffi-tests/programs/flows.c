/* Marks, IPv6, socket addresses in and out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../check.h"

static struct sockaddr_in inet(const char *address, uint16_t port) {
    struct sockaddr_in in;
    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    CHECK(inet_pton(AF_INET, address, &in.sin_addr) == 1);
    return in;
}

static struct sockaddr_in6 inet6(const char *address, uint16_t port) {
    struct sockaddr_in6 in;
    memset(&in, 0, sizeof in);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    CHECK(inet_pton(AF_INET6, address, &in.sin6_addr) == 1);
    return in;
}

static void in(void) {
    struct sockaddr_in client = inet("172.16.0.9", 40000), to = inet("10.1.0.1", 80);
    struct sockaddr_in6 client6 = inet6("2001:db8::9", 40001), to6 = inet6("2001:db8::1", 443);
    struct sockaddr_in6 mapped = inet6("::ffff:172.16.0.9", 40000);
    const struct sockaddr *c = (const struct sockaddr *)&client;
    const struct sockaddr *t = (const struct sockaddr *)&to;
    const struct sockaddr *c6 = (const struct sockaddr *)&client6;
    const struct sockaddr *t6 = (const struct sockaddr *)&to6;
    const struct sockaddr *m = (const struct sockaddr *)&mapped;
    vsched_flow flow, expected = flow_of(9);
    POISONED(flow);
    OK(vsched_flow_from_sockaddr(6, c, sizeof client, t, sizeof to, &flow));
    CHECK(memcmp(&flow, &expected, sizeof flow) == 0);
    POISONED(flow);
    OK(vsched_flow_from_sockaddr(6, m, sizeof mapped, t, sizeof(struct sockaddr_storage), &flow));
    CHECK(memcmp(&flow, &expected, sizeof flow) == 0);
    OK(vsched_flow_from_sockaddr(255, c6, sizeof client6, t6, sizeof to6, &flow));
    static const uint8_t nine[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
    CHECK(memcmp(flow.client, nine, 16) == 0 && flow.destination[15] == 1);
    CHECK(flow.client_port == 40001 && flow.destination_port == 443 && flow.family == 6);
    CHECK(flow.protocol == 255 && flow.fwmark == 0 && flow.key == 0 && flow.has_key == 0);

    POISONED(flow);
    IS(vsched_flow_from_sockaddr(256, c, sizeof client, t, sizeof to, &flow), VSCHED_E_ARGUMENT);
    IS(vsched_flow_from_sockaddr(4294967295u, c, sizeof client, t, sizeof to, &flow),
       VSCHED_E_ARGUMENT);
    struct sockaddr_un unix_address;
    memset(&unix_address, 0, sizeof unix_address);
    unix_address.sun_family = AF_UNIX;
    const struct sockaddr *u = (const struct sockaddr *)&unix_address;
    IS(vsched_flow_from_sockaddr(6, u, sizeof unix_address, t, sizeof to, &flow),
       VSCHED_E_ARGUMENT);
    IS(vsched_flow_from_sockaddr(6, c, sizeof client, u, 2, &flow), VSCHED_E_ARGUMENT);
    static const size_t short_of[] = {0, 1, 2, 8, 15};
    for (size_t at = 0; at < 5; at++) {
        IS(vsched_flow_from_sockaddr(6, c, short_of[at], t, sizeof to, &flow), VSCHED_E_LENGTH);
        IS(vsched_flow_from_sockaddr(6, c, sizeof client, t, short_of[at], &flow),
           VSCHED_E_LENGTH);
        IS(vsched_flow_from_sockaddr(6, c6, 27 - short_of[at], t6, sizeof to6, &flow),
           VSCHED_E_LENGTH);
    }
    UNTOUCHED(flow);

    /* Packets are not aligned. */
    unsigned char bytes[1 + sizeof to];
    memcpy(bytes + 1, &client, sizeof client);
    void *odd = bytes + 1;
    OK(vsched_flow_from_sockaddr(6, (const struct sockaddr *)odd, sizeof client, t, sizeof to,
                                 &flow));
    CHECK(memcmp(&flow, &expected, sizeof flow) == 0);
}

static void out(const vsched_pick *pick, const char *expected) {
    char chars[48];
    size_t length;
    OK(vsched_pick_text(pick, chars, sizeof chars, &length));
    TEXT_IS(chars, expected);
    struct sockaddr_storage to;
    POISONED(to);
    OK(vsched_pick_sockaddr(pick, (struct sockaddr *)&to, sizeof to, &length));
    CHECK(untouched((char *)&to + length, sizeof to - length));
    char host[INET6_ADDRSTRLEN], all[64];
    if (pick->family == 4) {
        struct sockaddr_in in;
        CHECK(length == sizeof in);
        memcpy(&in, &to, sizeof in);
        CHECK(in.sin_family == AF_INET);
        snprintf(all, sizeof all, "%s:%u", inet_ntop(AF_INET, &in.sin_addr, host, sizeof host),
                 ntohs(in.sin_port));
    } else {
        struct sockaddr_in6 in;
        CHECK(length == sizeof in);
        memcpy(&in, &to, sizeof in);
        CHECK(in.sin6_family == AF_INET6 && in.sin6_flowinfo == 0 && in.sin6_scope_id == 0);
        snprintf(all, sizeof all, "[%s]:%u", inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof host),
                 ntohs(in.sin6_port));
    }
    TEXT_IS(all, expected);
}

/* FTP data follow their control connection if the service is persistent; else they have no service. */
static void ftp(void) {
    vsched_service_id service, expected;
    vsched_pick pick;
    for (int persistent = 0; persistent < 2; persistent++) {
        vsched_director *director = director_of(
            persistent ? "-A -t 10.1.0.3:21 -s rr -p 300\n-a -t 10.1.0.3:21 -r 10.9.0.3 -m\n"
                         "-a -t 10.1.0.3:21 -r 10.9.0.4 -m\n"
                       : "-A -t 10.1.0.3:21 -s rr\n-a -t 10.1.0.3:21 -r 10.9.0.3 -m\n"
                         "-a -t 10.1.0.3:21 -r 10.9.0.4 -m\n"
                         "-A -t 10.1.0.3:0 -s rr -p 300\n-a -t 10.1.0.3:0 -r 10.9.0.5:0 -m\n");
        vsched_worker *worker = worker_of(director);
        vsched_lease lease;
        struct sockaddr_in from = inet("172.16.0.1", 40000), control = inet("10.1.0.3", 21),
                           data = inet("10.1.0.3", 5000);
        vsched_flow to_control, to_data;
        OK(vsched_flow_from_sockaddr(6, (const struct sockaddr *)&from, sizeof from,
                                     (const struct sockaddr *)&control, sizeof control, &to_control));
        OK(vsched_flow_from_sockaddr(6, (const struct sockaddr *)&from, sizeof from,
                                     (const struct sockaddr *)&data, sizeof data, &to_data));
        OK(vsched_worker_service_for(worker, &to_control, &expected));
        OK(vsched_worker_pick_server(worker, expected, &to_control, &pick));
        out(&pick, "10.9.0.4:21");
        if (persistent) {
            OK(vsched_worker_service_for(worker, &to_data, &service));
            CHECK(service.slot == expected.slot);
            OK(vsched_worker_pick_server(worker, service, &to_data, &pick));
            out(&pick, "10.9.0.4:5000");
        } else {
            IS(vsched_worker_service_for(worker, &to_data, &service), VSCHED_NO_SERVICE);
            IS(vsched_director_service_for(director, &to_data, &service), VSCHED_NO_SERVICE);
            IS(vsched_worker_pick_server(worker, expected, &to_data, &pick), VSCHED_NO_SERVER);
            IS(vsched_worker_connect(worker, expected, &to_data, NULL, 0, &pick, &lease),
               VSCHED_NO_SERVER);
            OK(vsched_worker_pick_server(worker, expected, &to_control, &pick));
            out(&pick, "10.9.0.3:21");
        }
        vsched_worker_free(worker);
        vsched_director_free(director);
    }
}

int main(void) {
    in();
    vsched_director *director = director_of(
        "-A -f 7 -s rr\n-a -f 7 -r 10.9.0.1 -m\n-A -f 7 -6 -s rr\n-a -f 7 -6 -r [2001:db8::7]:0 -m\n"
        "-A -t 10.1.0.1:80 -s rr\n-a -t 10.1.0.1:80 -r 10.9.0.2:8080 -m\n"
        "-A -u [2001:db8::1]:53 -s rr\n"
        "-a -u [2001:db8::1]:53 -r [2001:0db8:1111:2222:3333:4444:5555:6666]:65535 -m\n");
    vsched_worker *worker = worker_of(director);
    vsched_flow flow = flow_of(1);
    vsched_service_id service, expected;
    vsched_pick pick;

    OK(vsched_worker_service_for(worker, &flow, &service));
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    out(&pick, "10.9.0.2:8080");

    /* The mark wins over the address, within its family. */
    flow.fwmark = 7;
    OK(vsched_worker_service_for(worker, &flow, &service));
    expected = service_of(director, "fwmark 7");
    CHECK(service.slot == expected.slot && service.generation == expected.generation);
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    out(&pick, "10.9.0.1:80");
    flow.fwmark = 8;
    OK(vsched_director_service_for(director, &flow, &service));
    expected = service_of(director, KEY);
    CHECK(service.slot == expected.slot);

    struct sockaddr_in6 client = inet6("2001:db8::9", 40000), to = inet6("2001:db8::1", 53);
    OK(vsched_flow_from_sockaddr(17, (const struct sockaddr *)&client, sizeof client,
                                 (const struct sockaddr *)&to, sizeof to, &flow));
    OK(vsched_worker_service_for(worker, &flow, &service));
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    CHECK(pick.family == 6 && pick.port == 65535);
    out(&pick, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    flow.fwmark = 7;
    OK(vsched_worker_service_for(worker, &flow, &service));
    expected = service_of(director, "fwmark 7 inet6");
    CHECK(service.slot == expected.slot && service.generation == expected.generation);
    OK(vsched_worker_pick_server(worker, service, &flow, &pick));
    out(&pick, "[2001:db8::7]:53");

    ftp();

    /* What is no pick has no address. */
    unsigned char address[128];
    char chars[48];
    size_t length;
    POISONED(address), POISONED(chars), POISONED(length);
    static const uint8_t families[] = {0, 1, 5, 10, 255};
    for (size_t at = 0; at < sizeof families; at++) {
        pick.family = families[at];
        IS(vsched_pick_sockaddr(&pick, (struct sockaddr *)(void *)address, sizeof address,
                                &length), VSCHED_E_ARGUMENT);
        IS(vsched_pick_text(&pick, chars, sizeof chars, &length), VSCHED_E_ARGUMENT);
    }
    UNTOUCHED(address), UNTOUCHED(chars), UNTOUCHED(length);
    vsched_worker_free(worker);
    vsched_director_free(director);
    return DONE();
}
