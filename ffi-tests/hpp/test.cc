/* vsched.hpp: every wrapper, where it succeeds and where it fails; moves; self-closing. */
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <type_traits>

#include "other.h"

#define CHECK(what) \
    ((what) ? (void)0 : (std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what), std::abort()))
#define STATUS(call, wanted) CHECK((call).status() == (wanted))

static const char KEY[] = "tcp 10.9.0.1:80";
static const char RULES[] =
    "-A -t 10.9.0.1:80 -s rr\n"
    "-a -t 10.9.0.1:80 -r 10.0.1.1:80 -m\n"
    "-a -t 10.9.0.1:80 -r 10.0.1.2:80 -m\n";

template <class T>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> &&
                            std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves_only<vsched::config> && moves_only<vsched::director> &&
              moves_only<vsched::worker> && moves_only<vsched::connection>);
/* A number or a handle does not become a config or a director by itself. */
static_assert(!std::is_convertible_v<vsched_config *, vsched::config>);
static_assert(!std::is_convertible_v<vsched::outcome, bool>);

static vsched::config config() {
    auto config = vsched::config::make();
    CHECK(config && config->read_rules(RULES));
    return *std::move(config);
}

static vsched::director director() {
    auto made = vsched::director::make(config());
    CHECK(made);
    return *std::move(made);
}

static vsched_counts total(const vsched::director &director) {
    vsched_counts sum{};
    auto services = director.services();
    CHECK(services);
    for (const auto &service : *services) {
        auto servers = director.servers(service.id);
        CHECK(servers);
        for (const auto &server : *servers) {
            sum.active += server.active;
            sum.inactive += server.inactive;
        }
    }
    return sum;
}

static void test_static() {
    CHECK(vsched::abi_version() == VSCHED_ABI_VERSION);
    CHECK(vsched::version() == vsched_version());
    CHECK(vsched::refusal_text(VSCHED_REFUSED_ALL_DOWN) ==
          vsched_refusal_text(VSCHED_REFUSED_ALL_DOWN));
    CHECK(vsched::status_text(VSCHED_NO_SERVER) == vsched_status_text(VSCHED_NO_SERVER));
    CHECK(vsched::scheduler_name(0) == "rr" && !vsched::scheduler_summary(0)->empty());
    CHECK(!vsched::scheduler_name(1000) && !vsched::scheduler_summary(1000));
}

static void test_config() {
    vsched::config one = config();
    STATUS(one.validate(), VSCHED_OK);
    STATUS(one.error(), VSCHED_OK);
    CHECK(one.error()->empty());
    auto services = one.services();
    CHECK(services && services->size() == 1 && std::strcmp((*services)[0].key, KEY) == 0);
    auto servers = one.servers(KEY);
    CHECK(servers && servers->size() == 2 && std::strcmp((*servers)[0].address_text, "10.0.1.2:80") == 0);
    STATUS(one.servers("tcp 10.9.0.9:80"), VSCHED_NO_SERVICE);
    STATUS(one.servers("no key"), VSCHED_E_PARSE);
    STATUS(one.servers("nonsense"), VSCHED_NO_SERVICE);
    const std::string everywhere = *one.requirements();
    CHECK(everywhere.find("ip_vs_rr") != std::string::npos);
    CHECK(one.requirements("director")->find("ip_vs_rr") != std::string::npos);
    CHECK(one.requirements("10.0.1.1")->find("ip_vs_rr") == std::string::npos);
    STATUS(one.requirements("nowhere"), VSCHED_E_ARGUMENT);
    CHECK(everywhere.find("# Here:") == std::string::npos);
    CHECK(one.check_local("director")->find("# Here:") != std::string::npos);
    STATUS(one.check_local("nowhere"), VSCHED_E_ARGUMENT);
    STATUS(one.read_rules("-A nonsense"), VSCHED_E_PARSE);
    CHECK(one.error()->find("nonsense") != std::string::npos);
    STATUS(one.read_json("{"), VSCHED_E_PARSE);
    /* After errors it is what it was. */
    CHECK(one.write_rules()->find("10.0.1.2:80") != std::string::npos);
    CHECK(one.write_rules(VSCHED_RULES_SAVE)->size() < one.write_json()->size());
    STATUS(one.write_rules(7), VSCHED_E_ARGUMENT);

    auto twin = one.clone();
    CHECK(twin && *twin->write_json() == *one.write_json());
    CHECK(twin->read_json(*one.write_json()));
    CHECK(twin->execute("-d -t 10.9.0.1:80 -r 10.0.1.1:80"));
    STATUS(twin->execute("-d -t 10.9.0.1:80 -r 10.0.1.1:80"), VSCHED_E_PARSE);
    CHECK(*twin->write_rules() != *one.write_rules());

    auto settings = one.get_settings();
    CHECK(settings && settings->timeout_tcp == 0);
    settings->timeout_tcp = 60;
    settings->struct_size = 0; /* Set by the wrapper. */
    CHECK(one.set_settings(*settings));
    CHECK(one.get_settings()->timeout_tcp == 60);
    settings->kernel_rules = 9;
    STATUS(one.set_settings(*settings), VSCHED_E_ARGUMENT);

    vsched::service service("udp 10.9.0.2:53", "sh");
    service.flags = "sh-port";
    service.persistence_timeout = 30;
    service.persistence_netmask = "255.255.255.0";
    CHECK(one.add_service(service));
    STATUS(one.add_service(service), VSCHED_E_REFUSED);
    service.scheduler = "lblc";
    service.flags = "";
    service.affinity_capacity = 77;
    service.affinity_expiration = 99;
    CHECK(one.edit_service(service));
    STATUS(one.edit_service(vsched::service("udp 10.9.0.3:53")), VSCHED_E_REFUSED);
    vsched::server server("10.0.1.9:53", 5);
    server.upper_threshold = 10;
    server.lower_threshold = 4;
    CHECK(one.add_server(service.key, server));
    STATUS(one.add_server(service.key, server), VSCHED_E_REFUSED);
    server.forwarding = VSCHED_TUNNEL;
    server.tunnel = VSCHED_TUNNEL_GUE;
    server.tunnel_port = 6080;
    server.tunnel_checksum = VSCHED_CHECKSUM_FULL;
    CHECK(one.edit_server(service.key, server));
    server.address = "10.0.1.8:53";
    STATUS(one.edit_server(service.key, server), VSCHED_E_REFUSED);
    const std::string json = *one.write_json();
    for (const char *word : {"udp 10.9.0.2:53", "lblc", "255.255.255.0", "77", "99", "10.0.1.9:53",
                             "gue", "6080", "10", "30"})
        CHECK(json.find(word) != std::string::npos);
    CHECK(one.delete_server(service.key, "10.0.1.9:53"));
    STATUS(one.delete_server(service.key, "10.0.1.9:53"), VSCHED_E_REFUSED);
    vsched::service table("tcp 10.9.0.4:80", "mh");
    table.mh_table_index = 99;
    CHECK(one.add_service(table));
    STATUS(one.validate(), VSCHED_E_INVALID);
    STATUS(vsched::director::make(one), VSCHED_E_INVALID);
    CHECK(one.delete_service(table.key));
    /* Every field of a kind of its own, written, read and written back. */
    vsched::service whole("tcp 10.9.0.6:80", "nq");
    whole.ties = "rotate", whole.spill_over = 140, whole.panic_threshold = 50;
    whole.slow_start = 60, whole.slow_start_aggression = 150, whole.slow_start_least = 20;
    whole.eject = true, whole.eject_failures = 7, whole.eject_interval = 1;
    whole.eject_base_time = 2, whole.eject_max_time = 3, whole.eject_max_share = VSCHED_ZERO;
    whole.eject_trials = 4, whole.eject_outliers = VSCHED_OUTLIERS_MEDIAN;
    whole.eject_factor = 3000, whole.eject_least_outcomes = 5, whole.eject_least_servers = 6;
    CHECK(one.add_service(whole));
    vsched::server backup("10.0.1.9:80", 1);
    backup.priority = 1;
    CHECK(one.add_server(whole.key, backup));
    const std::string said = *one.write_rules();
    for (const char *word :
         {"--vsched-ties rotate", "duration=60,aggression=150,least=20", "--vsched-spill-over 140",
          "failures=7,interval=1,base-time=2,max-time=3,max-share=0,trials=4,outliers=median,"
          "factor=3000,least-outcomes=5,least-servers=6 ", "--vsched-panic-threshold 50",
          "--vsched-priority 1"})
        CHECK(said.find(word) != std::string::npos);
    const auto wholes = *one.services();
    for (const auto &state : wholes) CHECK(one.edit_service(vsched::service(state)));
    const auto parts = *one.servers(whole.key);
    for (const auto &state : parts)
        CHECK(one.edit_server(whole.key, vsched::server(state)));
    CHECK(*one.write_rules() == said);
    CHECK(one.delete_service(whole.key));
    vsched::limits limits{};
    CHECK(vsched::director::make(one, limits));
    limits.memory = *one.memory() - 1;
    STATUS(vsched::director::make(one, limits), VSCHED_E_INVALID);
    limits.memory += 1;
    CHECK(vsched::director::make(one, limits));
    STATUS(vsched::config().memory(), VSCHED_E_NULL);
    vsched::service packets("udp 10.9.0.5:53", "rr");
    packets.one_packet = true;
    packets.persistence_engine = "sip";
    CHECK(one.add_service(packets));
    const std::string rules = *one.write_rules();
    CHECK(rules.find("-o") != std::string::npos && rules.find("sip") != std::string::npos);
    CHECK(one.delete_service(service.key));
    STATUS(one.delete_service(service.key), VSCHED_E_REFUSED);
    CHECK(one.clear());
    CHECK(one.write_rules()->find("10.9.0") == std::string::npos);
}

static void test_director() {
    vsched::director fresh = *vsched::director::make(*vsched::config::make());
    std::size_t done = 99;
    CHECK(fresh.replay(RULES, &done) && done == 3 && servers_of(fresh, KEY) == 2);
    STATUS(fresh.replay("-C\n-d -t 10.9.0.1:80 -r 10.0.1.1:80\n", &done), VSCHED_E_REFUSED);
    CHECK(done == 1 && fresh.services()->empty() && !fresh.error()->empty());
    STATUS(fresh.replay("-A nonsense"), VSCHED_E_PARSE);
    vsched::director runs = director();
    CHECK(runs.tick(1000));
    auto service = runs.find_service(KEY);
    CHECK(service);
    STATUS(runs.find_service("tcp 10.9.0.9:80"), VSCHED_NO_SERVICE);
    CHECK(runs.find_server(KEY, "10.0.1.1:80"));
    STATUS(runs.find_server(KEY, "10.0.1.7:80"), VSCHED_STALE);
    vsched::flow flow{};
    STATUS(runs.service_for(flow), VSCHED_NO_SERVICE);
    CHECK(runs.pick_server(*service, flow));
    STATUS(runs.pick_server(vsched::service_id{}, flow), VSCHED_NO_SERVICE);
    CHECK(runs.services()->size() == 1 && (*runs.services())[0].servers == 2);
    CHECK(runs.servers(*service)->size() == 2 && servers_of(runs, KEY) == 2);
    STATUS(runs.servers(vsched::service_id{}), VSCHED_NO_SERVICE);
    STATUS(runs.counts(vsched::server_id{}), VSCHED_STALE);
    CHECK(runs.observe((*runs.servers(*service))[0].id)->weight == (*runs.servers(*service))[0].weight);
    STATUS(runs.observe(vsched::server_id{}), VSCHED_STALE);
    CHECK(*runs.removed_servers() == 0);
    STATUS(runs.set_counts(vsched::server_id{}, 0, 0), VSCHED_STALE);
    CHECK(runs.set_counts((*runs.servers(*service))[0].id, 0, 0)->active == 0);
    const vsched::server_id first = (*runs.servers(*service))[0].id;
    CHECK(*runs.set_state(first, VSCHED_HOLDER_HOST, VSCHED_DOWN, "no answer") == VSCHED_DOWN);
    CHECK(*runs.state(first) == VSCHED_DOWN);
    CHECK(runs.holds(first)->at(0).reason == std::string("no answer"));
    CHECK(*runs.set_state(first, VSCHED_HOLDER_HOST, VSCHED_UP) == VSCHED_UP);
    STATUS(runs.set_state(first, 9, VSCHED_UP), VSCHED_E_ARGUMENT);
    STATUS(runs.state(vsched::server_id{}), VSCHED_STALE);
    const std::string explained = *runs.explain(*service, flow);
    CHECK(explained.find("\"next\":\"10.0.1.") != std::string::npos);
    STATUS(runs.explain(vsched::service_id{}, flow), VSCHED_NO_SERVICE);
    CHECK(runs.metrics()->find("vsched_service_info{") != std::string::npos);
    CHECK(runs.metrics(VSCHED_METRICS_SERVERS)->find("vsched_server_weight{") != std::string::npos);
    STATUS(runs.metrics(4), VSCHED_E_ARGUMENT);
    CHECK(runs.set_phase(1) && runs.set_phase(0));
    CHECK(runs.make_worker_with_phase(3)->pick_server(*service, flow));
    CHECK(runs.set_weight(first, (*runs.servers(*service))[0].weight)->changed == 1);
    STATUS(runs.set_weight(vsched::server_id{}, 1), VSCHED_STALE);
    CHECK(*runs.forget_removed() == 0);
    CHECK(runs.removed_with_connections()->empty());
    CHECK(runs.list()->find("10.0.1.2:80") != std::string::npos);
    CHECK(runs.list(VSCHED_LIST_STATISTICS, VSCHED_LIST_EXACT, KEY));
    STATUS(runs.list(99), VSCHED_E_ARGUMENT);

    CHECK(runs.execute("-e -t 10.9.0.1:80 -r 10.0.1.1:80 -m -w 0")->drained == 1);
    STATUS(runs.execute("-e -t 10.9.0.1:80 -r 10.0.1.5:80 -m"), VSCHED_E_REFUSED);
    CHECK(!runs.error()->empty());
    vsched::service other("fwmark 7", "wrr");
    CHECK(runs.add_service(other)->added == 1);
    STATUS(runs.add_service(other), VSCHED_E_REFUSED);
    other.scheduler = "lc";
    CHECK(runs.edit_service(other)->changed == 1);
    STATUS(runs.edit_service(vsched::service("fwmark 8")), VSCHED_E_REFUSED);
    vsched::server server("10.0.1.3:80", 2);
    CHECK(runs.add_server(other.key, server)->added == 1);
    STATUS(runs.add_server(other.key, server), VSCHED_E_REFUSED);
    server.weight = 3;
    CHECK(runs.edit_server(other.key, server)->changed == 1);
    /* What was read, changed in one field and written back. */
    const auto states = *runs.services();
    const auto *found = std::find_if(states.data(), states.data() + states.size(), [](auto &state) {
        return std::string_view(state.key) == "fwmark 7";
    });
    CHECK(found != states.data() + states.size());
    vsched::service described(*found);
    CHECK(described.key == "fwmark 7" && described.scheduler == "lc");
    CHECK(described.sharing == "exact" && described.mh_table_index == 12);
    described.flags = "flag-2", described.persistence_timeout = 7;
    described.persistence_netmask = "255.255.255.0", described.one_packet = true;
    CHECK(runs.edit_service(described)->changed == 1);
    const auto again = *runs.services();
    const auto &changed = again[static_cast<std::size_t>(found - states.data())];
    described = vsched::service(changed);
    CHECK(described.flags == "flag-2" && described.persistence_timeout == 7);
    CHECK(described.persistence_netmask == "255.255.255.0" && described.one_packet);
    const auto listed = *runs.servers(found->id);
    vsched::server known(listed[0]);
    CHECK(known.address == "10.0.1.3:80" && known.weight == 3 && known.forwarding == VSCHED_MASQ);
    known.upper_threshold = 9;
    CHECK(runs.edit_server(described.key, known)->changed == 1);
    CHECK((*runs.servers(found->id))[0].upper_threshold == 9);
    CHECK((*runs.servers(found->id))[0].weight == 3);
    STATUS(runs.edit_server("fwmark 9", server), VSCHED_E_REFUSED);
    flow.fwmark = 7;
    flow.family = 4;
    CHECK(runs.service_for(flow));
    CHECK(runs.delete_server(other.key, server.address)->removed == 1);
    STATUS(runs.delete_server(other.key, server.address), VSCHED_E_REFUSED);
    CHECK(runs.add_server(other.key, server)->added == 1);
    CHECK(runs.delete_service(other.key)->removed == 2);
    STATUS(runs.delete_service(other.key), VSCHED_E_REFUSED);

    auto running = runs.running();
    CHECK(running && running->write_rules()->find("-w 0") != std::string::npos);
    CHECK(runs.apply(config())->changed == 1);
    vsched::config wrong = config();
    CHECK(wrong.add_server(KEY, vsched::server("10.0.1.8:80", 0xffffffff)));
    STATUS(runs.apply(wrong), VSCHED_E_INVALID);
    CHECK(runs.error()->find("10.0.1.8:80") != std::string::npos);

    vsched::config empty = config();
    CHECK(empty.clear());
    STATUS(runs.apply_with(empty), VSCHED_E_GUARDRAILS);
    CHECK(runs.error()->find("most_deleted 100") != std::string::npos);
    vsched::apply_policy policy{};
    policy.most_deleted = 101;
    STATUS(runs.apply_with(empty, policy), VSCHED_E_ARGUMENT);
    policy.most_deleted = 100;
    CHECK(runs.apply_with(empty, policy)->removed == 3);
}

static void test_addresses() {
    sockaddr_in client{}, destination{};
    client.sin_family = destination.sin_family = AF_INET;
    destination.sin_port = htons(80);
    destination.sin_addr.s_addr = htonl(0x0a090001);
    const auto *from = reinterpret_cast<const sockaddr *>(&client);
    const auto *to = reinterpret_cast<const sockaddr *>(&destination);
    auto flow = vsched::flow_from_sockaddr(6, from, sizeof client, to, sizeof destination);
    CHECK(flow && flow->destination_port == 80);
    STATUS(vsched::flow_from_sockaddr(6, from, 1, to, sizeof destination), VSCHED_E_LENGTH);

    vsched::director runs = director();
    auto worker = runs.make_worker();
    auto service = worker->service_for(*flow);
    CHECK(service);
    STATUS(worker->service_for(vsched::flow{}), VSCHED_NO_SERVICE);
    auto pick = worker->pick_server(*service, *flow);
    CHECK(worker->refusal() == 0);
    CHECK(pick && *vsched::pick_text(*pick) == "10.0.1.2:80");
    STATUS(vsched::pick_text(vsched::pick{}), VSCHED_E_ARGUMENT);
    sockaddr_in server{};
    auto *address = reinterpret_cast<sockaddr *>(&server);
    CHECK(*vsched::pick_sockaddr(*pick, address, sizeof server) == sizeof server);
    CHECK(ntohl(server.sin_addr.s_addr) == 0x0a000102 && ntohs(server.sin_port) == 80);
    STATUS(vsched::pick_sockaddr(*pick, address, 1), VSCHED_E_BUFFER);
    auto state = (*runs.services())[0];
    CHECK(*vsched::service_sockaddr(state, address, sizeof server) == sizeof server);
    CHECK(ntohl(server.sin_addr.s_addr) == 0x0a090001 && ntohs(server.sin_port) == 80);
    STATUS(vsched::service_sockaddr(state, address, 1), VSCHED_E_BUFFER);
    state.fwmark = 7;
    STATUS(vsched::service_sockaddr(state, address, sizeof server), VSCHED_E_ARGUMENT);
}

static void test_worker() {
    vsched::director runs = director();
    auto worker = runs.make_worker();
    CHECK(worker);
    const auto service = *runs.find_service(KEY);
    const vsched::flow flow{};
    STATUS(worker->pick_server(vsched::service_id{}, flow), VSCHED_NO_SERVICE);
    std::vector<vsched::server_id> tried;
    for (int n = 0; n < 2; n++)
        tried.push_back(worker->pick_server_excluding(service, flow, tried)->server);
    STATUS(worker->pick_server_excluding(service, flow, tried), VSCHED_NO_SERVER);
    STATUS(worker->connect(service, flow, tried), VSCHED_NO_SERVER);
    /* Other containers. */
    const std::array<vsched::server_id, 1> first{tried[0]};
    const vsched::server_id bare[] = {tried[0], tried[1]};
    CHECK(std::memcmp(&worker->pick_server_excluding(service, flow, first)->server, &tried[1],
                      sizeof tried[1]) == 0);
    STATUS(worker->pick_server_excluding(service, flow, bare), VSCHED_NO_SERVER);
    STATUS(worker->pick_server_excluding(service, flow, {bare, 2}), VSCHED_NO_SERVER);

    auto chosen = worker->open(tried[0], VSCHED_INACTIVE);
    CHECK(chosen && runs.counts(tried[0])->inactive == 1);
    CHECK(chosen->update(VSCHED_ACTIVE) && runs.counts(tried[0])->active == 1);
    STATUS(chosen->update(7), VSCHED_E_ARGUMENT);
    STATUS(worker->open(tried[0], 7), VSCHED_E_ARGUMENT);
    STATUS(worker->open(vsched::server_id{}, VSCHED_ACTIVE), VSCHED_STALE);
    auto pick = worker->pick_server(service, flow);
    auto picked = worker->open_pick(*pick, VSCHED_ACTIVE);
    CHECK(picked && std::memcmp(&picked->picked().server, &pick->server, 8) == 0);
    STATUS(worker->open_pick(vsched::pick{}, VSCHED_ACTIVE), VSCHED_STALE);

    vsched::lease lease = picked->release();
    STATUS(picked->close(), VSCHED_E_NULL);
    CHECK(total(runs).active == 2);
    CHECK(worker->update(lease, VSCHED_INACTIVE) && total(runs).inactive == 1);
    CHECK(worker->close(lease));
    STATUS(worker->close(lease), VSCHED_STALE);
    STATUS(worker->update(lease, VSCHED_ACTIVE), VSCHED_STALE);
    CHECK(chosen->close());
    CHECK(total(runs).active == 0 && total(runs).inactive == 0);

    auto ended = worker->open(tried[0], VSCHED_ACTIVE);
    STATUS(ended->close_with(0), VSCHED_E_ARGUMENT);
    CHECK(*ended && total(runs).active == 1);
    CHECK(ended->close_with(VSCHED_OUTCOME_DONE, 7) && !*ended && total(runs).active == 0);
    STATUS(ended->close_with(VSCHED_OUTCOME_DONE), VSCHED_E_NULL);
    vsched::lease handed = worker->open(tried[0], VSCHED_ACTIVE)->release();
    CHECK(worker->close_with(handed, VSCHED_OUTCOME_ABANDONED));
    STATUS(worker->close_with(handed, VSCHED_OUTCOME_DONE, 1), VSCHED_STALE);
    CHECK(worker->report(tried[0], VSCHED_OUTCOME_FAILED));
    STATUS(worker->report(vsched::server_id{}, VSCHED_OUTCOME_FAILED, 1), VSCHED_STALE);
    auto health = runs.health(tried[0]);
    CHECK(health && health->done == 1 && health->failed == 1 && health->abandoned == 1);
    CHECK(health->latency_us == 7 && health->consecutive_failures == 1);
    STATUS(runs.health(vsched::server_id{}), VSCHED_STALE);
}

static void test_connections_close_themselves() {
    vsched::director runs = director();
    auto worker = *runs.make_worker();
    const auto service = *runs.find_service(KEY);
    {
        std::vector<vsched::connection> open;
        for (int n = 0; n < 100; n++)
            open.push_back(*worker.connect(service, vsched::flow{}));
        CHECK(total(runs).active == 100);
        open.erase(open.begin() + 10, open.begin() + 40);
        CHECK(total(runs).active == 70);
        /* What is assigned over closes, what was moved from does not. */
        open[0] = std::move(open[1]);
        CHECK(total(runs).active == 69 && open[0] && !open[1]);
        STATUS(open[1].close(), VSCHED_E_NULL);
        STATUS(open[1].update(VSCHED_ACTIVE), VSCHED_E_NULL);
        vsched::connection &itself = open[0];
        open[0] = std::move(itself);
        CHECK(total(runs).active == 69 && open[0]);
        open[1] = passed_on(std::move(open[0]));
        CHECK(total(runs).active == 69 && open[1] && !open[0]);
        auto server = open[1].server();
        CHECK(std::memcmp(&server, &open[1].picked().server, sizeof server) == 0);
        /* The worker's handle may move meanwhile; a connection refers to what it names. */
        vsched::worker moved = std::move(worker);
        CHECK(worker.get() == nullptr);
        open.clear();
        CHECK(total(runs).active == 0);
        worker = std::move(moved);
    }
    /* A temporary result closes what it holds; so does one that became an optional. */
    (void)worker.connect(service, vsched::flow{});
    CHECK(total(runs).active == 0);
    {
        auto kept = worker.connect(service, vsched::flow{}).optional();
        CHECK(kept && total(runs).active == 1);
    }
    CHECK(total(runs).active == 0);
    /* Adopted: a lease that came from elsewhere. */
    auto lease = worker.connect(service, vsched::flow{})->release();
    CHECK(total(runs).active == 1);
    { vsched::connection adopted(worker.get(), lease, vsched::pick{}); }
    CHECK(total(runs).active == 0);
}

static void test_moved_from_is_empty() {
    vsched::config first = config(), second = std::move(first);
    STATUS(first.read_rules(""), VSCHED_E_NULL);
    STATUS(first.write_rules(), VSCHED_E_NULL);
    STATUS(first.clone(), VSCHED_E_NULL);
    STATUS(first.error(), VSCHED_E_NULL);
    STATUS(first.services(), VSCHED_E_NULL);
    STATUS(first.servers(KEY), VSCHED_E_NULL);
    STATUS(first.requirements(), VSCHED_E_NULL);
    STATUS(first.check_local(), VSCHED_E_NULL);
    STATUS(vsched::director::make(first), VSCHED_E_NULL);
    first = std::move(second);
    CHECK(first.validate());

    vsched::director runs = director(), other = std::move(runs);
    STATUS(runs.list(), VSCHED_E_NULL);
    STATUS(runs.services(), VSCHED_E_NULL);
    STATUS(runs.replay(RULES), VSCHED_E_NULL);
    STATUS(runs.apply(first), VSCHED_E_NULL);
    STATUS(runs.make_worker(), VSCHED_E_NULL);
    STATUS(runs.tick(0), VSCHED_E_NULL);
    STATUS(runs.running(), VSCHED_E_NULL);
    auto worker = other.make_worker();
    vsched::worker elsewhere = *std::move(worker);
    STATUS(worker->connect(vsched::service_id{}, vsched::flow{}), VSCHED_E_NULL);
    vsched::lease lease{};
    STATUS(worker->close(lease), VSCHED_E_NULL);

    vsched_config *bare = first.release();
    CHECK(first.get() == nullptr);
    vsched::config again(bare);
    CHECK(again.validate());
    vsched::director back(other.release());
    CHECK(back.list() && other.get() == nullptr);
    vsched::worker same(elsewhere.release());
    /* Workers outlive the director. */
    back = vsched::director(nullptr);
    STATUS(same.service_for(vsched::flow{}), VSCHED_NO_SERVICE);
    vsched::connection none;
    CHECK(!none);
    STATUS(none.close(), VSCHED_E_NULL);
}

/* A listing beyond any first guess of a buffer. */
static void test_long_texts() {
    vsched::config many = config();
    for (int n = 0; n < 2000; n++) {
        char address[32];
        std::snprintf(address, sizeof address, "10.1.%d.%d:80", n / 250, n % 250);
        CHECK(many.add_server(KEY, vsched::server(address, 1)));
    }
    vsched::director runs = *vsched::director::make(many);
    auto listing = runs.list(VSCHED_LIST_STATISTICS);
    CHECK(listing && listing->size() > 100000 && listing->back() == '\n');
    CHECK(std::strlen(listing->c_str()) == listing->size());
    CHECK(servers_of(runs, KEY) == 2002);
}

int main() {
    test_static();
    test_config();
    test_director();
    test_addresses();
    test_worker();
    test_connections_close_themselves();
    test_moved_from_is_empty();
    test_long_texts();
    std::puts("ok");
}
