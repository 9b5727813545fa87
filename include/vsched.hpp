/* vsched for C++17: a thin layer over vsched.h, which is the manual. Header only, no logic.
 *
 * - Destructors free handles and close connections. Both can be moved, not copied. A moved-from
 *   object is empty: it may be destroyed or assigned to, and its functions return VSCHED_E_NULL.
 * - A function with a value returns a result: the status, and the value if that is VSCHED_OK.
 *   Nothing throws, except std::string and std::vector when memory runs out.
 * - Texts go in as std::string_view and come out as std::string. The functions set struct_size.
 * - Threads: as for the function of vsched.h with the same name. */
#ifndef VSCHED_HPP
#define VSCHED_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vsched.h"

namespace vsched {

/* Plain values, as in C. */
using flow = vsched_flow;
using pick = vsched_pick;
using lease = vsched_lease;
using service_id = vsched_service_id;
using server_id = vsched_server_id;
using service_state = vsched_service_state;
using server_state = vsched_server_state;
using counts = vsched_counts;
using applied = vsched_applied;
using apply_policy = vsched_apply_policy;
using removed_server = vsched_removed_server;
using hold = vsched_hold;
using health = vsched_health;
using settings = vsched_settings;
using block_limits = vsched_block_limits;
using limits = vsched_limits;

/* Status of a function without a value. */
class outcome {
public:
    constexpr outcome(vsched_status status) noexcept : status_(status) {}
    constexpr vsched_status status() const noexcept { return status_; }
    constexpr explicit operator bool() const noexcept { return status_ == VSCHED_OK; }
    const char *text() const noexcept { return vsched_status_text(status_); }

private:
    vsched_status status_;
};

/* Status and value. Without VSCHED_OK the value is empty: zeros, "", a null handle. */
template <class T>
class [[nodiscard]] result {
public:
    result(vsched_status status, T value) noexcept : status_(status), value_(std::move(value)) {}
    vsched_status status() const noexcept { return status_; }
    explicit operator bool() const noexcept { return status_ == VSCHED_OK; }
    const char *text() const noexcept { return vsched_status_text(status_); }
    T &operator*() & noexcept { return value_; }
    const T &operator*() const & noexcept { return value_; }
    T &&operator*() && noexcept { return std::move(value_); }
    T *operator->() noexcept { return &value_; }
    const T *operator->() const noexcept { return &value_; }
    /* The value or nothing, without the status. */
    std::optional<T> optional() && noexcept {
        return *this ? std::optional<T>(std::move(value_)) : std::nullopt;
    }

private:
    vsched_status status_;
    T value_;
};

namespace detail {

struct freeing {
    void operator()(vsched_block *handle) const noexcept { vsched_block_free(handle); }
    void operator()(vsched_config *handle) const noexcept { vsched_config_free(handle); }
    void operator()(vsched_director *handle) const noexcept { vsched_director_free(handle); }
    void operator()(vsched_worker *handle) const noexcept { vsched_worker_free(handle); }
};

/* call(T *) writes a value. */
template <class T, class Call>
result<T> value_of(Call call, T value = {}) {
    const vsched_status status = call(&value);
    return {status, status == VSCHED_OK ? std::move(value) : T{}};
}

/* call(H **) makes a handle, which becomes an Owner. */
template <class Owner, class H, class Call>
result<Owner> handle_of(Call call) {
    H *handle = nullptr;
    const vsched_status status = call(&handle);
    return {status, Owner(handle)};
}

/* call(char *, capacity, size_t *length) copies a text; called again if the text has grown. */
template <class Call>
result<std::string> text_of(Call call) {
    std::string text;
    for (;;) {
        std::size_t length = 0;
        /* A string has room for a NUL past its end. */
        const vsched_status status = call(text.data(), text.size() + 1, &length);
        if (status != VSCHED_OK && status != VSCHED_E_BUFFER) return {status, {}};
        text.resize(length);
        if (status == VSCHED_OK) return {status, std::move(text)};
    }
}

/* call(T *, element size, capacity, size_t *count) copies an array, in the same way. */
template <class T, class Call>
result<std::vector<T>> array_of(Call call) {
    std::vector<T> array;
    for (;;) {
        std::size_t count = 0;
        const vsched_status status = call(array.data(), sizeof(T), array.size(), &count);
        if (status != VSCHED_OK && status != VSCHED_E_BUFFER) return {status, {}};
        array.resize(count);
        if (status == VSCHED_OK) return {status, std::move(array)};
    }
}

inline vsched_text c(std::string_view text) noexcept { return {text.data(), text.size()}; }

inline std::string_view view(vsched_text text) noexcept { return {text.data, text.length}; }

inline applied no_change() noexcept {
    applied change{};
    change.struct_size = sizeof change;
    return change;
}

}  // namespace detail

/* Settings of a virtual service, see vsched_service. Texts have to exist during the call only. */
struct service {
    explicit service(std::string_view key, std::string_view scheduler = {})
        : key(key), scheduler(scheduler) {}
    /* From a snapshot, to change and write back. The texts point into the state. */
    explicit service(const service_state &state) noexcept {
        vsched_service from{};
        from.struct_size = sizeof from;
        /* Fails only if sizes are wrong. */
        if (vsched_service_from_state(&state, sizeof state, &from) != VSCHED_OK) return;
        key = detail::view(from.key), scheduler = detail::view(from.scheduler);
        flags = detail::view(from.flags), sharing = detail::view(from.sharing);
        ties = detail::view(from.ties);
        persistence_netmask = detail::view(from.persistence_netmask);
        persistence_engine = detail::view(from.persistence_engine);
        one_packet = from.one_packet != 0;
        persistence_timeout = from.persistence_timeout, mh_table_index = from.mh_table_index;
        affinity_capacity = from.affinity_capacity;
        affinity_expiration = from.affinity_expiration;
        eject = from.eject != 0;
        spill_over = from.spill_over;
        panic_threshold = from.panic_threshold;
        slow_start = from.slow_start;
        slow_start_aggression = from.slow_start_aggression;
        slow_start_least = from.slow_start_least;
        eject_failures = from.eject_failures;
        eject_interval = from.eject_interval;
        eject_base_time = from.eject_base_time;
        eject_max_time = from.eject_max_time;
        eject_max_share = from.eject_max_share;
        eject_trials = from.eject_trials;
        eject_outliers = from.eject_outliers;
        eject_factor = from.eject_factor;
        eject_least_outcomes = from.eject_least_outcomes;
        eject_least_servers = from.eject_least_servers;
        name = detail::view(from.name);
    }
    std::string_view key, scheduler, flags, persistence_netmask, persistence_engine,
        sharing, ties, name;
    bool one_packet = false, eject = false;
    std::uint32_t persistence_timeout = 0, mh_table_index = 0;
    std::uint32_t affinity_capacity = 0, affinity_expiration = 0;
    std::uint32_t spill_over = 0, panic_threshold = 0;
    std::uint32_t slow_start = 0, slow_start_aggression = 0, slow_start_least = 0;
    std::uint32_t eject_failures = 0, eject_interval = 0, eject_base_time = 0, eject_max_time = 0;
    std::uint32_t eject_max_share = 0, eject_trials = 0, eject_outliers = VSCHED_OUTLIERS_NONE;
    std::uint32_t eject_factor = 0, eject_least_outcomes = 0, eject_least_servers = 0;

    vsched_service c() const noexcept {
        vsched_service service{};
        service.struct_size = sizeof service;
        service.one_packet = one_packet ? 1 : 0;
        service.key = detail::c(key);
        service.scheduler = detail::c(scheduler);
        service.flags = detail::c(flags);
        service.persistence_timeout = persistence_timeout;
        service.mh_table_index = mh_table_index;
        service.persistence_netmask = detail::c(persistence_netmask);
        service.persistence_engine = detail::c(persistence_engine);
        service.affinity_capacity = affinity_capacity;
        service.affinity_expiration = affinity_expiration;
        service.sharing = detail::c(sharing);
        service.ties = detail::c(ties);
        service.eject = eject ? 1 : 0;
        service.spill_over = spill_over;
        service.panic_threshold = panic_threshold;
        service.slow_start = slow_start;
        service.slow_start_aggression = slow_start_aggression;
        service.slow_start_least = slow_start_least;
        service.eject_failures = eject_failures;
        service.eject_interval = eject_interval;
        service.eject_base_time = eject_base_time;
        service.eject_max_time = eject_max_time;
        service.eject_max_share = eject_max_share;
        service.eject_trials = eject_trials;
        service.eject_outliers = eject_outliers;
        service.eject_factor = eject_factor;
        service.eject_least_outcomes = eject_least_outcomes;
        service.eject_least_servers = eject_least_servers;
        service.name = detail::c(name);
        return service;
    }
};

/* A real server, see vsched_server. */
struct server {
    server(std::string_view address, std::uint32_t weight, std::uint32_t forwarding = VSCHED_MASQ)
        : address(address), weight(weight), forwarding(forwarding) {}
    /* From a snapshot, in the same way. */
    explicit server(const server_state &state) noexcept {
        vsched_server from{};
        from.struct_size = sizeof from;
        if (vsched_server_from_state(&state, sizeof state, &from) != VSCHED_OK) return;
        address = detail::view(from.address);
        weight = from.weight, forwarding = from.forwarding;
        upper_threshold = from.upper_threshold, lower_threshold = from.lower_threshold;
        tunnel = from.tunnel, tunnel_checksum = from.tunnel_checksum;
        tunnel_port = from.tunnel_port, priority = from.priority;
        user_data = from.user_data, name = detail::view(from.name);
    }
    std::string_view address, name;
    std::uint32_t weight = 0, forwarding = VSCHED_MASQ;
    std::uint32_t upper_threshold = 0, lower_threshold = 0;
    std::uint32_t tunnel = 0, tunnel_checksum = 0, tunnel_port = 0, priority = 0;
    std::uint64_t user_data = 0;

    vsched_server c() const noexcept {
        vsched_server server{};
        server.struct_size = sizeof server;
        server.weight = weight;
        server.address = detail::c(address);
        server.forwarding = forwarding;
        server.upper_threshold = upper_threshold;
        server.lower_threshold = lower_threshold;
        server.tunnel = tunnel;
        server.tunnel_checksum = tunnel_checksum;
        server.tunnel_port = tunnel_port;
        server.priority = priority;
        server.user_data = user_data;
        server.name = detail::c(name);
        return server;
    }
};

/* Servers to exclude: an array, a std::vector, or any container with data and size. */
class tried {
public:
    constexpr tried() noexcept = default;
    constexpr tried(const server_id *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class Container, class = decltype(std::data(std::declval<const Container &>()))>
    constexpr tried(const Container &servers) noexcept
        : data_(std::data(servers)), size_(std::size(servers)) {}
    constexpr const server_id *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

private:
    const server_id *data_ = nullptr;
    std::size_t size_ = 0;
};

inline std::uint32_t abi_version() noexcept { return vsched_abi_version(); }
inline std::string_view version() noexcept { return vsched_version(); }
inline std::string_view refusal_text(std::uint32_t refusal) noexcept {
    return vsched_refusal_text(refusal);
}
inline std::string_view status_text(vsched_status status) noexcept {
    return vsched_status_text(status);
}
/* Nothing if the index is past the end. */
inline std::optional<std::string_view> scheduler_name(std::uint32_t index) noexcept {
    const char *name = vsched_scheduler_name(index);
    return name != nullptr ? std::optional<std::string_view>(name) : std::nullopt;
}
inline std::optional<std::string_view> scheduler_summary(std::uint32_t index) noexcept {
    const char *summary = vsched_scheduler_summary(index);
    return summary != nullptr ? std::optional<std::string_view>(summary) : std::nullopt;
}

inline result<flow> flow_from_sockaddr(std::uint32_t protocol, const sockaddr *client,
                                       std::size_t client_length, const sockaddr *destination,
                                       std::size_t destination_length) noexcept {
    return detail::value_of<flow>([&](flow *out) {
        return vsched_flow_from_sockaddr(protocol, client, client_length, destination,
                                         destination_length, out);
    });
}
/* Writes to `address`; the value is its length. */
inline result<std::size_t> pick_sockaddr(const pick &pick, sockaddr *address,
                                         std::size_t capacity) noexcept {
    return detail::value_of<std::size_t>([&](std::size_t *length) {
        return vsched_pick_sockaddr(&pick, address, capacity, length);
    });
}
/* The same for a virtual service. */
inline result<std::size_t> service_sockaddr(const service_state &service, sockaddr *address,
                                            std::size_t capacity) noexcept {
    return detail::value_of<std::size_t>([&](std::size_t *length) {
        return vsched_service_sockaddr(&service, address, capacity, length);
    });
}
inline result<std::string> pick_text(const pick &pick) {
    return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
        return vsched_pick_text(&pick, buffer, capacity, length);
    });
}

/* See vsched_config. */
class config {
public:
    static result<config> make() {
        return detail::handle_of<config, vsched_config>(
            [](vsched_config **out) { return vsched_config_new(out); });
    }
    /* Takes ownership of a handle; nullptr makes an empty config. */
    explicit config(vsched_config *handle = nullptr) noexcept : handle_(handle) {}
    vsched_config *get() const noexcept { return handle_.get(); }
    vsched_config *release() noexcept { return handle_.release(); }

    result<config> clone() const {
        return detail::handle_of<config, vsched_config>(
            [this](vsched_config **out) { return vsched_config_clone(get(), out); });
    }
    [[nodiscard]] outcome read_rules(std::string_view rules) {
        return vsched_config_read_rules(get(), rules.data(), rules.size());
    }
    [[nodiscard]] outcome execute(std::string_view rules) {
        return vsched_config_execute(get(), rules.data(), rules.size());
    }
    [[nodiscard]] outcome read_json(std::string_view json) {
        return vsched_config_read_json(get(), json.data(), json.size());
    }
    result<std::string> write_rules(std::uint32_t form = VSCHED_RULES_COMPLETE) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_config_write_rules(get(), form, buffer, capacity, length);
        });
    }
    result<std::string> write_json() const {
        return detail::text_of([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_config_write_json(get(), buffer, capacity, length);
        });
    }
    [[nodiscard]] outcome validate() const { return vsched_config_validate(get()); }
    result<std::uint64_t> memory() const {
        return detail::value_of<std::uint64_t>(
            [this](std::uint64_t *out) { return vsched_config_memory(get(), out); });
    }
    /* The text of the latest failure. */
    result<std::string> error() const {
        return detail::text_of([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_config_error(get(), buffer, capacity, length);
        });
    }
    [[nodiscard]] outcome set_settings(vsched_settings settings) {
        settings.struct_size = sizeof settings;
        return vsched_config_set_settings(get(), &settings);
    }
    result<vsched_settings> get_settings() const {
        vsched_settings sized{};
        sized.struct_size = sizeof sized;
        return detail::value_of(
            [this](vsched_settings *out) { return vsched_config_settings(get(), out); }, sized);
    }
    [[nodiscard]] outcome add_service(const service &service) {
        const vsched_service c = service.c();
        return vsched_config_add_service(get(), &c);
    }
    [[nodiscard]] outcome edit_service(const service &service) {
        const vsched_service c = service.c();
        return vsched_config_edit_service(get(), &c);
    }
    [[nodiscard]] outcome delete_service(std::string_view key) {
        return vsched_config_delete_service(get(), key.data(), key.size());
    }
    outcome clear() { return vsched_config_clear(get()); }
    [[nodiscard]] outcome add_server(std::string_view key, const server &server) {
        const vsched_server c = server.c();
        return vsched_config_add_server(get(), key.data(), key.size(), &c);
    }
    [[nodiscard]] outcome edit_server(std::string_view key, const server &server) {
        const vsched_server c = server.c();
        return vsched_config_edit_server(get(), key.data(), key.size(), &c);
    }
    [[nodiscard]] outcome delete_server(std::string_view key, std::string_view address) {
        return vsched_config_delete_server(get(), key.data(), key.size(), address.data(),
                                           address.size());
    }
    result<std::vector<service_state>> services() const {
        return detail::array_of<service_state>(
            [this](service_state *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_config_services(get(), array, size, capacity, count);
            });
    }
    result<std::vector<server_state>> servers(std::string_view key) const {
        return detail::array_of<server_state>(
            [&](server_state *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_config_servers(get(), key.data(), key.size(), array, size, capacity,
                                             count);
            });
    }
    /* An empty host prints those of all hosts. */
    result<std::string> requirements(std::string_view host = {}) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_config_requirements(get(), host.data(), host.size(), buffer, capacity,
                                              length);
        });
    }
    result<std::string> check_local(std::string_view host = {}) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_config_check_local(get(), host.data(), host.size(), buffer, capacity,
                                             length);
        });
    }

private:
    std::unique_ptr<vsched_config, detail::freeing> handle_;
};

/* An open connection: counts on its server until it is destroyed or closed. Only the thread that
 * owns its worker uses it, and it must not outlive the worker; to hand it on, release the lease. */
class connection {
public:
    connection() noexcept = default;
    /* Takes a lease that is open on the director of the worker. */
    connection(vsched_worker *worker, const vsched_lease &lease, const vsched_pick &pick) noexcept
        : worker_(worker), lease_(lease), pick_(pick) {}
    connection(connection &&other) noexcept
        : worker_(other.worker_), lease_(other.release()), pick_(other.pick_) {}
    connection &operator=(connection &&other) noexcept {
        if (this != &other) {
            close();
            worker_ = other.worker_;
            pick_ = other.pick_;
            lease_ = other.release();
        }
        return *this;
    }
    ~connection() { close(); }

    explicit operator bool() const noexcept { return worker_ != nullptr; }
    server_id server() const noexcept { return lease_.server; }
    /* The pick; all zeros if the caller chose the server. */
    const vsched_pick &picked() const noexcept { return pick_; }
    /* VSCHED_ACTIVE or VSCHED_INACTIVE. */
    outcome update(std::uint32_t activity) noexcept {
        return vsched_worker_update(worker_, &lease_, activity);
    }
    /* Closes the connection, which is empty afterwards. */
    outcome close() noexcept {
        vsched_lease lease = lease_;
        vsched_worker *worker = worker_;
        release();
        return vsched_worker_close(worker, &lease);
    }
    /* Closes the connection and counts how it went: VSCHED_OUTCOME_DONE, _FAILED or _ABANDONED. If
     * the outcome is another, the connection stays open. */
    outcome close_with(std::uint32_t outcome, std::uint64_t latency_us = 0) noexcept {
        const vsched_status status =
            vsched_worker_close_with(worker_, &lease_, outcome, latency_us);
        if (status != VSCHED_E_ARGUMENT) release();
        return status;
    }
    /* Releases the lease, for worker::close: the destructor no longer closes it. */
    vsched_lease release() noexcept {
        worker_ = nullptr;
        return std::exchange(lease_, vsched_lease{});
    }

private:
    vsched_worker *worker_ = nullptr;
    vsched_lease lease_{};
    vsched_pick pick_{};
};

/* See vsched_worker. Made by director::make_worker. */
class worker {
public:
    explicit worker(vsched_worker *handle = nullptr) noexcept : handle_(handle) {}
    vsched_worker *get() const noexcept { return handle_.get(); }
    vsched_worker *release() noexcept { return handle_.release(); }

    result<service_id> service_for(const flow &flow) noexcept {
        return detail::value_of<service_id>([&](service_id *out) {
            return vsched_worker_service_for(get(), &flow, out);
        });
    }
    result<pick> pick_server(service_id service, const flow &flow) noexcept {
        return detail::value_of<pick>([&](pick *out) {
            return vsched_worker_pick_server(get(), service, &flow, out);
        });
    }
    result<pick> pick_server_excluding(service_id service, const flow &flow, tried tried) noexcept {
        return detail::value_of<pick>([&](pick *out) {
            return vsched_worker_pick_server_excluding(get(), service, &flow, tried.data(),
                                                       tried.size(), out);
        });
    }
    /* Why the latest pick found no server: VSCHED_REFUSED_NO_SERVICE and others; 0: none did. */
    std::uint32_t refusal() const noexcept { return vsched_worker_refusal(get()); }
    /* Picks a server that has not been tried and opens a connection on it. */
    result<connection> connect(service_id service, const flow &flow, tried tried = {}) noexcept {
        pick picked{};
        return opened(picked, [&](lease *out) {
            return vsched_worker_connect(get(), service, &flow, tried.data(), tried.size(), &picked,
                                         out);
        });
    }
    result<connection> open(server_id server, std::uint32_t activity) noexcept {
        const pick none{};
        return opened(none, [&](lease *out) {
            return vsched_worker_open(get(), server, activity, out);
        });
    }
    result<connection> open_pick(const pick &picked, std::uint32_t activity) noexcept {
        return opened(picked, [&](lease *out) {
            return vsched_worker_open_pick(get(), &picked, activity, out);
        });
    }
    outcome update(lease &lease, std::uint32_t activity) noexcept {
        return vsched_worker_update(get(), &lease, activity);
    }
    outcome close(lease &lease) noexcept { return vsched_worker_close(get(), &lease); }
    /* The latency is 0 where it was not measured. */
    outcome close_with(lease &lease, std::uint32_t outcome,
                       std::uint64_t latency_us = 0) noexcept {
        return vsched_worker_close_with(get(), &lease, outcome, latency_us);
    }
    outcome report(server_id server, std::uint32_t outcome,
                   std::uint64_t latency_us = 0) noexcept {
        return vsched_worker_report(get(), server, outcome, latency_us);
    }

private:
    template <class Call>
    result<connection> opened(const pick &picked, Call call) noexcept {
        lease lease{};
        const vsched_status status = call(&lease);
        if (status != VSCHED_OK) return {status, connection()};
        return {status, connection(get(), lease, picked)};
    }

    std::unique_ptr<vsched_worker, detail::freeing> handle_;
};

/* See vsched_block. */
class block {
public:
    static result<block> make() {
        return detail::handle_of<block, vsched_block>(
            [](vsched_block **out) { return vsched_block_new(out); });
    }
    explicit block(vsched_block *handle = nullptr) noexcept : handle_(handle) {}
    vsched_block *get() const noexcept { return handle_.get(); }
    vsched_block *release() noexcept { return handle_.release(); }

    result<std::size_t> size(block_limits limits) const {
        limits.struct_size = sizeof limits;
        return detail::value_of<std::size_t>(
            [&](std::size_t *out) { return vsched_block_size(get(), &limits, out); });
    }
    [[nodiscard]] outcome anonymous(block_limits limits) {
        limits.struct_size = sizeof limits;
        return vsched_block_anonymous(get(), &limits);
    }
    [[nodiscard]] outcome named(std::string_view path, block_limits limits) {
        limits.struct_size = sizeof limits;
        return vsched_block_named(get(), path.data(), path.size(), &limits);
    }
    [[nodiscard]] outcome format(void *memory, std::size_t length, block_limits limits) const {
        limits.struct_size = sizeof limits;
        return vsched_block_format(get(), memory, length, &limits);
    }
    [[nodiscard]] outcome attach(void *memory, std::size_t length) {
        return vsched_block_attach(get(), memory, length);
    }
    [[nodiscard]] outcome format_or_attach(void *memory, std::size_t length,
                                           block_limits limits) {
        limits.struct_size = sizeof limits;
        return vsched_block_format_or_attach(get(), memory, length, &limits);
    }
    /* At how many servers it is to be called again. */
    result<std::uint32_t> reclaim_process(std::uint32_t process) const {
        return detail::value_of<std::uint32_t>([&](std::uint32_t *out) {
            return vsched_block_reclaim_process(get(), process, out);
        });
    }
    result<std::uint32_t> reclaim_dead() const {
        return detail::value_of<std::uint32_t>(
            [&](std::uint32_t *out) { return vsched_block_reclaim_dead(get(), out); });
    }
    /* The text of the latest failure. */
    result<std::string> error() const {
        return detail::text_of([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_block_error(get(), buffer, capacity, length);
        });
    }

private:
    std::unique_ptr<vsched_block, detail::freeing> handle_;
};

/* See vsched_director. */
class director {
public:
    /* On a block. */
    static result<director> make(const config &config, const block &block) {
        return detail::handle_of<director, vsched_director>([&](vsched_director **out) {
            return vsched_director_new_in_block(config.get(), block.get(), out);
        });
    }
    /* After VSCHED_E_INVALID the error text of the config lists the problems. */
    static result<director> make(const config &config) {
        return detail::handle_of<director, vsched_director>(
            [&](vsched_director **out) { return vsched_director_new(config.get(), out); });
    }
    static result<director> make(const config &config, limits limits) {
        limits.struct_size = sizeof limits;
        return detail::handle_of<director, vsched_director>([&](vsched_director **out) {
            return vsched_director_new_with_limits(config.get(), &limits, out);
        });
    }
    explicit director(vsched_director *handle = nullptr) noexcept : handle_(handle) {}
    vsched_director *get() const noexcept { return handle_.get(); }
    vsched_director *release() noexcept { return handle_.release(); }

    result<worker> make_worker() const {
        return detail::handle_of<worker, vsched_worker>(
            [this](vsched_worker **out) { return vsched_worker_new(get(), out); });
    }
    result<worker> make_worker_with_phase(std::uint32_t phase) const {
        return detail::handle_of<worker, vsched_worker>([&](vsched_worker **out) {
            return vsched_worker_new_with_phase(get(), phase, out);
        });
    }
    result<applied> apply(const config &config) const {
        return changed([&](applied *out) {
            return vsched_director_apply(get(), config.get(), out);
        });
    }
    /* Zeros in the policy mean the default: at most half of the servers may be removed. */
    result<applied> apply_with(const config &config, const apply_policy &policy = {}) const {
        vsched_apply_policy c = policy;
        c.struct_size = sizeof c;
        return changed([&](applied *out) {
            return vsched_director_apply_with(get(), config.get(), &c, out);
        });
    }
    outcome tick(std::uint64_t now_ms) const { return vsched_director_tick(get(), now_ms); }
    /* The config that runs. */
    result<config> running() const {
        return detail::handle_of<config, vsched_config>(
            [this](vsched_config **out) { return vsched_director_config(get(), out); });
    }
    /* The text of the latest failure. */
    result<std::string> error() const {
        return detail::text_of([this](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_director_error(get(), buffer, capacity, length);
        });
    }

    result<service_id> find_service(std::string_view key) const {
        return detail::value_of<service_id>([&](service_id *out) {
            return vsched_director_service(get(), key.data(), key.size(), out);
        });
    }
    result<service_id> service_for(const flow &flow) const {
        return detail::value_of<service_id>([&](service_id *out) {
            return vsched_director_service_for(get(), &flow, out);
        });
    }
    result<server_id> find_server(std::string_view key, std::string_view address) const {
        return detail::value_of<server_id>([&](server_id *out) {
            return vsched_director_server(get(), key.data(), key.size(), address.data(),
                                          address.size(), out);
        });
    }
    result<pick> pick_server(service_id service, const flow &flow) const {
        return detail::value_of<pick>([&](pick *out) {
            return vsched_director_pick_server(get(), service, &flow, out);
        });
    }

    result<applied> execute(std::string_view command) const {
        return changed([&](applied *out) {
            return vsched_director_execute(get(), command.data(), command.size(), out);
        });
    }
    /* `done` is the number of commands in effect, also after an error. */
    [[nodiscard]] outcome replay(std::string_view rules, std::size_t *done = nullptr) const {
        return vsched_director_replay(get(), rules.data(), rules.size(), done);
    }
    result<applied> add_service(const service &service) const {
        return changed([&, c = service.c()](applied *out) {
            return vsched_director_add_service(get(), &c, out);
        });
    }
    result<applied> edit_service(const service &service) const {
        return changed([&, c = service.c()](applied *out) {
            return vsched_director_edit_service(get(), &c, out);
        });
    }
    result<applied> delete_service(std::string_view key) const {
        return changed([&](applied *out) {
            return vsched_director_delete_service(get(), key.data(), key.size(), out);
        });
    }
    result<applied> add_server(std::string_view key, const server &server) const {
        return changed([&, c = server.c()](applied *out) {
            return vsched_director_add_server(get(), key.data(), key.size(), &c, out);
        });
    }
    result<applied> edit_server(std::string_view key, const server &server) const {
        return changed([&, c = server.c()](applied *out) {
            return vsched_director_edit_server(get(), key.data(), key.size(), &c, out);
        });
    }
    result<applied> delete_server(std::string_view key, std::string_view address) const {
        return changed([&](applied *out) {
            return vsched_director_delete_server(get(), key.data(), key.size(), address.data(),
                                                 address.size(), out);
        });
    }

    result<std::vector<service_state>> services() const {
        return detail::array_of<service_state>(
            [this](service_state *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_director_services(get(), array, size, capacity, count);
            });
    }
    result<std::vector<server_state>> servers(service_id service) const {
        return detail::array_of<server_state>(
            [&](server_state *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_director_servers(get(), service, array, size, capacity, count);
            });
    }
    result<server_state> observe(server_id server) const {
        return detail::value_of<server_state>([&](server_state *out) {
            return vsched_director_server_state(get(), server, out, sizeof *out);
        });
    }
    result<vsched_counts> counts(server_id server) const {
        return detail::value_of<vsched_counts>([&](vsched_counts *out) {
            return vsched_director_counts(get(), server, out);
        });
    }
    result<std::vector<removed_server>> removed_with_connections() const {
        return detail::array_of<removed_server>(
            [&](removed_server *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_director_removed_with_connections(get(), array, size, capacity, count);
            });
    }
    result<std::size_t> removed_servers() const {
        return detail::value_of<std::size_t>([this](std::size_t *count) {
            return vsched_director_removed_servers(get(), count);
        });
    }
    /* Returns the state that results from all holders. */
    result<std::uint32_t> set_state(server_id server, std::uint32_t holder, std::uint32_t state,
                                    std::string_view reason = {}) const {
        return detail::value_of<std::uint32_t>([&](std::uint32_t *result) {
            return vsched_director_set_state(get(), server, holder, state, reason.data(),
                                             reason.size(), result);
        });
    }
    result<std::uint32_t> state(server_id server) const {
        return detail::value_of<std::uint32_t>([&](std::uint32_t *state) {
            return vsched_director_state(get(), server, state);
        });
    }
    result<std::vector<hold>> holds(server_id server) const {
        return detail::array_of<hold>(
            [&](hold *array, std::size_t size, std::size_t capacity, std::size_t *count) {
                return vsched_director_holds(get(), server, array, size, capacity, count);
            });
    }
    result<vsched_health> health(server_id server) const {
        vsched_health sized{};
        sized.struct_size = sizeof sized;
        return detail::value_of(
            [&](vsched_health *out) { return vsched_director_health(get(), server, out); }, sized);
    }
    result<applied> set_weight(server_id server, std::uint32_t weight) const {
        return changed([&](applied *out) {
            return vsched_director_set_weight(get(), server, weight, out);
        });
    }
    /* Returns the counts before the call. */
    result<vsched_counts> set_counts(server_id server, std::uint32_t active,
                                     std::uint32_t inactive) const {
        return detail::value_of<vsched_counts>([&](vsched_counts *former) {
            return vsched_director_set_counts(get(), server, active, inactive, former);
        });
    }
    result<std::size_t> forget_removed() const {
        return detail::value_of<std::size_t>([this](std::size_t *count) {
            return vsched_director_forget_removed(get(), count);
        });
    }
    outcome set_phase(std::uint32_t phase) const noexcept {
        return vsched_director_set_phase(get(), phase);
    }
    /* JSON: which server the next pick would choose and why, or why none. */
    result<std::string> explain(service_id service, const flow &flow) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_director_explain(get(), service, &flow, buffer, capacity, length);
        });
    }
    /* For Prometheus. */
    result<std::string> metrics(std::uint32_t flags = 0) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_director_metrics(get(), flags, buffer, capacity, length);
        });
    }
    /* An empty key prints all services. */
    result<std::string> list(std::uint32_t view = VSCHED_LIST_PLAIN, std::uint32_t flags = 0,
                             std::string_view key = {}) const {
        return detail::text_of([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return vsched_director_list(get(), view, flags, key.data(), key.size(), buffer,
                                        capacity, length);
        });
    }

private:
    template <class Call>
    result<applied> changed(Call call) const {
        return detail::value_of(call, detail::no_change());
    }

    std::unique_ptr<vsched_director, detail::freeing> handle_;
};

}  // namespace vsched

#endif
