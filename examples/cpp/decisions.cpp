/* vsched without a proxy: rules in, decisions out; a reload drains a server; the listing shows it.
 *
 *   c++ -std=c++17 -Iinclude examples/cpp/decisions.cpp -o decisions \
 *       -Ltarget/capi/lib -Wl,-rpath,target/capi/lib -lvsched */
#include <iostream>
#include <vsched.hpp>

static const char *const RULES =
    "-A -t 192.168.4.5:80 -s wrr\n"
    "-a -t 192.168.4.5:80 -r 10.0.1.1:80 -m -w 3\n"
    "-a -t 192.168.4.5:80 -r 10.0.1.2:80 -m -w 1\n";

static void print(const char *title, const vsched::director &director) {
    auto listing = director.list();
    std::cout << title << ":\n" << (listing ? *listing : listing.text()) << "\n";
}

int main() {
    auto config = vsched::config::make();
    if (!config || !config->read_rules(RULES)) {
        std::cerr << (config ? *config->error() : config.text()) << "\n";
        return 1;
    }
    auto director = vsched::director::make(*config);
    if (!director) return 1;
    auto worker = director->make_worker();  // One per thread.
    auto service = director->find_service("tcp 192.168.4.5:80");
    if (!worker || !service) return 1;

    std::vector<vsched::connection> open;
    for (int n = 0; n < 8; n++) {
        auto connection = worker->connect(*service, vsched::flow{});
        if (!connection) return 1;
        std::cout << *vsched::pick_text(connection->picked()) << "\n";
        open.push_back(*std::move(connection));
    }
    print("Eight connections", *director);

    // The same rules, but the first server is drained: it keeps its connections and gets no new ones.
    if (!config->execute("-e -t 192.168.4.5:80 -r 10.0.1.1:80 -m -w 0")) return 1;
    auto applied = director->apply(*config);
    if (!applied || applied->drained != 1) return 1;
    if (auto next = worker->connect(*service, vsched::flow{}))
        std::cout << "After the reload: " << *vsched::pick_text(next->picked()) << "\n";
    open.resize(2);  // The others close in their destructors.
    print("Two are left", *director);
}
