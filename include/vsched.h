/**
 * @file
 * @brief vsched: an embeddable scheduling and configuration core for virtual servers (LVS/IPVS).
 *
 * This header is the manual; docs/embedding.md shows a complete program. vsched-ffi.h has the same
 * declarations without macros, for cffi and LuaJIT. `make header` generates both from src/ffi.
 *
 * Conventions of all functions:
 *
 * - Status: a function returns a vsched_status. After any status but VSCHED_OK nothing has changed
 *   and no output was written, unless its manual says so. The manual lists the statuses of each
 *   function, except two that go without saying: VSCHED_E_NULL, and VSCHED_E_PANIC for a bug in the
 *   library.
 * - NULL: the introduction of each group says which pointers may be NULL. For other pointers, NULL
 *   returns VSCHED_E_NULL.
 * - Memory: the library uses a pointer during the call only. A pointer that is not NULL points to
 *   as many bytes as its type or its length says, aligned as C requires. Free a handle with the
 *   function that its manual names. Nothing else has to be freed.
 * - Process: no function prints, starts a thread, installs a signal handler, or changes any state
 *   of the process, with one exception: before VSCHED_E_PANIC, Rust's runtime writes a line to
 *   stderr.
 *
 * Classes of threads, which the manual of each function names after "Threads:":
 *
 * | Class     | The function may be called                                                      |
 * | --------- | ------------------------------------------------------------------------------- |
 * | any       | from any thread at any time                                                     |
 * | shared    | by several threads at once on one handle, but not during an exclusive call      |
 * | exclusive | while no other thread uses the handle                                           |
 * | control   | from any thread at any time; takes the director's lock if it changes anything   |
 * | worker    | by the thread that owns the worker; takes no lock                               |
 */

#ifndef VSCHED_H
#define VSCHED_H

#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/** Makes compilers warn where a program drops a status. Define it as empty to turn this off. */
#ifndef VSCHED_MUST_USE
#if defined(__GNUC__) || defined(__clang__)
#define VSCHED_MUST_USE __attribute__((warn_unused_result))
#else
#define VSCHED_MUST_USE
#endif
#endif

/** Initializes a vsched_text with a string literal: .scheduler = VSCHED_TEXT("wrr"). */
#define VSCHED_TEXT(literal) {(literal), sizeof(literal) - 1}

#ifdef __cplusplus
extern "C" {
#endif

/* ==== Status codes ============================================================================ */

/**
 * @defgroup vsched-status Status codes
 *
 * Almost every function returns a vsched_status. Numbers below 100 are results, numbers from 100
 * on are errors. Programs compare with VSCHED_OK first; numbers are never reused, and new ones may
 * come.
 *
 * @{
 */

/** Result of a function: VSCHED_OK, another result below 100, or an error from 100 on. */
typedef uint32_t vsched_status;

/** Success. */
#define VSCHED_OK 0
/**
 * Result: no server is available. The service has no server or no scheduler, or all its servers
 * are quiesced (weight 0), overloaded (upper threshold reached) or excluded by the caller.
 */
#define VSCHED_NO_SERVER 1
/**
 * Result: no such virtual service. For an id: the service was deleted, or the id is all zeros or
 * belongs to another director. A service that is added again has a new id; look it up with
 * vsched_director_service or vsched_worker_service_for.
 */
#define VSCHED_NO_SERVICE 2
/**
 * Result: the server id or the lease is stale. The server was removed and its last connection has
 * closed, the lease is empty or closed, or it belongs to another director. No count has changed.
 */
#define VSCHED_STALE 3
/** Result: the server already counts VSCHED_MAX_CONNECTIONS connections. */
#define VSCHED_FULL 4

/** Error: a pointer is NULL that must not be. */
#define VSCHED_E_NULL 100
/** Error: a length or count is larger than any object can be, or a socket address is too short. */
#define VSCHED_E_LENGTH 101
/** Error: a text is not UTF-8. */
#define VSCHED_E_UTF8 102
/**
 * Error: a struct_size or element size is smaller than the first version of the struct, or the
 * struct is larger than the library's and the part that the library does not know is not all
 * zeros.
 */
#define VSCHED_E_STRUCT_SIZE 103
/** Error: a number or name is not one of the values listed. */
#define VSCHED_E_ARGUMENT 104
/** Error: the buffer or array is too small. Nothing was copied; the size needed was written. */
#define VSCHED_E_BUFFER 105
/** Error: a text does not parse. The error text of the handle names line, column and word. */
#define VSCHED_E_PARSE 106
/**
 * Error: the config exceeds limits. The error text of the handle lists the first 100 problems, one
 * per line.
 */
#define VSCHED_E_INVALID 107
/**
 * Error: the present state refuses the command: what it adds exists, or what it edits or deletes
 * does not.
 */
#define VSCHED_E_REFUSED 108
/**
 * Error: the director cannot hold that many services or servers, or the system has no memory for
 * them or for what they remember. The error text of the handle names which.
 */
#define VSCHED_E_CAPACITY 109
/**
 * Error: the change would take away more than vsched_apply_policy allows. The error text of the
 * director names what would be removed, the limit, and the field that allows it.
 */
#define VSCHED_E_GUARDRAILS 110
/**
 * Error: memory is no block, or the block cannot be used, or cannot carry the config. The error
 * text of the handle says why.
 */
#define VSCHED_E_BLOCK 111
/** Error: a bug in the library, caught. The handle stays usable; please report it. */
#define VSCHED_E_PANIC 199

/**
 * Describes a status in a few words.
 *
 * Threads: any.
 *
 * @param status Any number.
 * @return A static text, never NULL; do not free it.
 */
const char *vsched_status_text(vsched_status status);

/** @} */

/* ==== Versions and schedulers ================================================================= */

/**
 * @defgroup vsched-version Versions and schedulers
 *
 * Compare vsched_abi_version() with VSCHED_ABI_VERSION once at startup if the library is loaded at
 * run time. All texts here are static: do not free them.
 *
 * @{
 */

/**
 * Version of the ABI that this header describes. It changes, and the soname with it, when programs
 * built against it no longer work with the library. New functions, statuses, and fields at the end
 * of structs with a struct_size do not change it.
 */
#define VSCHED_ABI_VERSION 1

/**
 * Returns the ABI version of the library that is loaded.
 *
 * Threads: any.
 *
 * @return The library's VSCHED_ABI_VERSION.
 */
uint32_t vsched_abi_version(void);

/**
 * Returns the version of the library that is loaded.
 *
 * Threads: any.
 *
 * @return A static text such as "0.1.0", never NULL.
 */
const char *vsched_version(void);

/**
 * Returns the short name of a scheduler.
 *
 * Threads: any.
 *
 * @param index Number of the scheduler, from 0.
 * @return A static text such as "rr"; NULL if `index` is past the end.
 */
const char *vsched_scheduler_name(uint32_t index);

/**
 * Describes a scheduler in one clause.
 *
 * Threads: any.
 *
 * @param index Number of the scheduler, from 0.
 * @return A static text; NULL if `index` is past the end.
 */
const char *vsched_scheduler_summary(uint32_t index);

/** @} */

/* ==== Texts, arrays and sized structs ========================================================= */

/**
 * @defgroup vsched-text Texts, arrays and sized structs
 *
 * Text input is a pointer and a length in bytes, UTF-8, without a NUL.
 *
 * Text output goes to the caller's buffer of `capacity` bytes and ends with a NUL. The function
 * sets `*length` to the length without the NUL, even if the buffer is too small: call with NULL
 * and 0 to learn it, which returns VSCHED_E_BUFFER. Array output works the same way: `capacity`
 * and `*count` are numbers of elements, and `element_size` is sizeof of the element. An empty
 * array fits any capacity.
 *
 * Structs that may grow begin with struct_size. Zero the struct, then set struct_size to its
 * sizeof, also for structs that the library fills in. Fields of zero mean the default. Programs
 * built with an older or newer header than the library's work: the library reads and writes only
 * what both know.
 *
 * @{
 */

/** A text: UTF-8 without a NUL at its end. {NULL, 0} is the empty text. */
typedef struct vsched_text {
    /** First byte; may be NULL if `length` is 0. */
    const char *data;
    /** Length in bytes. */
    size_t length;
} vsched_text;

/** @} */

/* ==== Config: make, read, write =============================================================== */

/**
 * @defgroup vsched-config Config: make, read, write
 *
 * Make a config with vsched_config_new, fill it from a text or with the functions of the next
 * groups, pass it to a director, and free it with vsched_config_free. A director copies what it
 * needs.
 *
 * NULL: no pointer may be NULL, except `rules` or `json` if `length` is 0, `buffer` if `capacity`
 * is 0, `length` of a text output, and the argument of vsched_config_free.
 *
 * @{
 */

/**
 * A configuration: virtual services, their real servers, and settings. It is independent of any
 * director. Threads that share one obey the classes "shared" and "exclusive". Free it with
 * vsched_config_free.
 */
typedef struct vsched_config vsched_config;

/**
 * Makes an empty config.
 *
 * Threads: any.
 *
 * @param[out] config The new config; free it with vsched_config_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_config_new(struct vsched_config **config);

/**
 * Copies a config. The error text of the copy is empty.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The original.
 * @param[out] clone The copy; free it with vsched_config_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_config_clone(const struct vsched_config *config,
                                  struct vsched_config **clone);

/**
 * Frees a config.
 *
 * Threads: exclusive.
 *
 * @param config The config; NULL does nothing.
 */
void vsched_config_free(struct vsched_config *config);

/**
 * Replaces the whole config by what a rules text says, one command per line, as `ipvsadm --save`
 * prints:
 *
 * @code
 * -A -t 192.168.4.5:80 -s wrr
 * -a -t 192.168.4.5:80 -r 192.168.5.11 -m -w 2
 * @endcode
 *
 * Options that begin with `--vsched-` say what ipvsadm has no words for, such as `--vsched-sharing
 * per-worker` after -A, or `--vsched-seed 7` on a line of its own.
 *
 * Threads: exclusive. Cost: O(length).
 *
 * @param config The config; after an error it is unchanged.
 * @param rules The rules text.
 * @param length Bytes of the rules text.
 * @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the error text names line,
 *   column and word.
 */
VSCHED_MUST_USE
vsched_status vsched_config_read_rules(struct vsched_config *config,
                                       const char *rules,
                                       size_t length);

/**
 * Executes the commands of a rules text on the config, in order: all of them or none.
 *
 * Threads: exclusive.
 *
 * @param config The config; after an error it is unchanged.
 * @param rules The commands.
 * @param length Bytes of the commands.
 * @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: a line does not parse, or a
 *   command does not fit, such as a second -A of a service.
 */
VSCHED_MUST_USE
vsched_status vsched_config_execute(struct vsched_config *config,
                                    const char *rules,
                                    size_t length);

/**
 * Replaces the whole config by what a JSON text says. Unknown fields are errors.
 *
 * Threads: exclusive. Cost: O(length).
 *
 * @param config The config; after an error it is unchanged.
 * @param json The JSON text.
 * @param length Bytes of the JSON text.
 * @return VSCHED_OK; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the error text names line and
 *   column.
 */
VSCHED_MUST_USE
vsched_status vsched_config_read_json(struct vsched_config *config,
                                      const char *json,
                                      size_t length);

/** Form of a rules text: what `ipvsadm --save --numeric` prints, sorted, without thresholds. */
#define VSCHED_RULES_SAVE 0
/**
 * Form of a rules text: complete, in the order of the config; reading it gives an equal config.
 * Options that begin with `--vsched-`, which ipvsadm rejects, say what ipvsadm has no words for. A
 * config without such settings prints as a text that ipvsadm reads.
 */
#define VSCHED_RULES_COMPLETE 1

/**
 * Prints the config as a rules text.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The config.
 * @param form VSCHED_RULES_SAVE or VSCHED_RULES_COMPLETE.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: another form; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_config_write_rules(const struct vsched_config *config,
                                        uint32_t form,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *length);

/**
 * Prints the config as JSON that vsched_config_read_json reads.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The config.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_config_write_json(const struct vsched_config *config,
                                       char *buffer,
                                       size_t capacity,
                                       size_t *length);

/**
 * Copies the text of the latest failure of a function on this config; empty if no function has
 * failed. The text quotes at most 80 characters of any input and escapes characters that do not
 * print. VSCHED_E_NULL and VSCHED_E_BUFFER may leave the previous text.
 *
 * Threads: shared.
 *
 * @param config The config.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_BUFFER.
 */
vsched_status vsched_config_error(const struct vsched_config *config,
                                  char *buffer,
                                  size_t capacity,
                                  size_t *length);

/** @} */

/* ==== Config: descriptions ==================================================================== */

/**
 * @defgroup vsched-structs Config: descriptions
 *
 * Structs that describe services, servers and settings, for the functions that add, edit and read
 * them. Zero a struct, set struct_size, set what differs from the default. The library copies
 * texts; free yours when the call has returned.
 *
 * @{
 */

/** Settings of a virtual service. Zeros mean the default. */
typedef struct vsched_service {
    /** sizeof(vsched_service). */
    uint32_t struct_size;
    /** Not 0: one-packet scheduling; each UDP datagram is scheduled separately. */
    uint32_t one_packet;
    /** Key: "tcp 192.168.4.5:80", "udp [2001:db8::1]:53", "fwmark 7", "fwmark 7 inet6". */
    struct vsched_text key;
    /**
     * Short name of the scheduler, such as "wrr"; "none" refuses every new connection. Default:
     * wlc.
     */
    struct vsched_text scheduler;
    /** Scheduler flags, separated by commas, such as "sh-port,sh-fallback". Default: none. */
    struct vsched_text flags;
    /**
     * Seconds that a client keeps its server after its last new connection, 1 to 2678400. 0: the
     * service is not persistent.
     */
    uint32_t persistence_timeout;
    /** Table size of scheduler mh, 8 to 17. Default: 12, which is 4093 slots. */
    uint32_t mh_table_index;
    /**
     * Which clients count as one: an IPv4 mask, such as "255.255.255.0", or an IPv6 prefix length,
     * such as "64". Default: each address separately.
     */
    struct vsched_text persistence_netmask;
    /** Persistence engine, such as "sip". Default: none. */
    struct vsched_text persistence_engine;
    /**
     * Maximum number of addresses that lblc, lblcr and persistence remember, 1 to 16777216.
     * Default: 16384.
     */
    uint32_t affinity_capacity;
    /** Seconds that lblc and lblcr remember an address, 1 to 2678400. Default: 86400. */
    uint32_t affinity_expiration;
    /**
     * "exact": all workers share one sequence of decisions, as in one kernel. "per-worker": each
     * worker decides separately, and its picks write no memory of another worker. "chunks-16", or
     * another number from 1 to 64, for schedulers rr and wrr: all workers share one sequence, of
     * which each takes so many turns at once and uses them one by one, so that few of its picks
     * write what another worker writes. Default: "exact".
     */
    struct vsched_text sharing;
    /**
     * Which of equally loaded servers lc, wlc, sed and nq pick. "kernel": the one that was added
     * last. "rotate": in turn. Default: "kernel".
     */
    struct vsched_text ties;
    /**
     * How servers of lower priority take over. 0: all connections go to the highest priority with
     * a server that is up. 100 to 1000: over-provisioning factor in percent; a priority keeps all
     * its connections while its share of servers that are up, times the factor, is at least 100 %.
     * Only for schedulers that share connections by weight.
     */
    uint32_t spill_over;
    /**
     * Percent of servers, 0 to 100: while fewer are up, all that are not draining and that no
     * administrator holds down take part. 0: never.
     */
    uint32_t panic_threshold;
    /**
     * Seconds of slow start, 1 to 2678400, until a server that begins to get connections has its
     * whole weight. 0: no slow start. Only for schedulers that share connections by weight.
     */
    uint32_t slow_start;
    /**
     * Shape of slow start in hundredths, 1 to 10000: 100 is linear, a greater number grows faster
     * at first. 0: the default, 100. Without slow start it must be 0.
     */
    uint32_t slow_start_aggression;
    /**
     * Least share of the weight in percent, 1 to 100. 0: the default, 10. Without slow start it
     * must be 0.
     */
    uint32_t slow_start_least;
    /**
     * Not 0: servers are ejected for the failures that hosts report. If 0, all fields of ejection
     * below must be 0.
     */
    uint32_t eject;
    /**
     * Number of failures in a row that ejects a server, 1 to 65535. 0: the default, 5.
     * VSCHED_ZERO: never.
     */
    uint32_t eject_failures;
    /** Seconds of an interval, 1 to 2678400. 0: the default, 10. */
    uint32_t eject_interval;
    /** Seconds of a server's first ejection, 1 to 2678400. 0: the default, 30. */
    uint32_t eject_base_time;
    /** Maximum seconds of an ejection, 1 to 2678400. 0: the default, 300. */
    uint32_t eject_max_time;
    /**
     * Largest share of the service's servers ejected at any time, in percent, 1 to 100, rounded
     * down to whole servers. 0: the default, 50. VSCHED_ZERO: none.
     */
    uint32_t eject_max_share;
    /**
     * Connections that a server that returns may have at a time beyond those that are still open,
     * 1 to 65535. 0: the default, 1.
     */
    uint32_t eject_trials;
    /**
     * Comparison with the other servers at the end of each interval: VSCHED_OUTLIERS_NONE, _MEAN
     * or _MEDIAN.
     */
    uint32_t eject_outliers;
    /**
     * Number of spreads below the center at which a share of successes ejects its server, in
     * thousandths, 1 to 1000000. 0: the default, 1900. Without a comparison it must be 0, as must
     * the two fields below.
     */
    uint32_t eject_factor;
    /** Least outcomes that make a server's share count, 1 to 4294967295. 0: the default, 100. */
    uint32_t eject_least_outcomes;
    /** Least number of such servers, 2 to 1048576. 0: the default, 5. */
    uint32_t eject_least_servers;
    /**
     * Name, unique within the config: 1 to 253 ASCII letters, digits and -_./@, one of them a
     * letter. Default: none.
     */
    struct vsched_text name;
} vsched_service;

/** Number 0, for a field in which 0 means the default. */
#define VSCHED_ZERO UINT32_MAX

/** Ejection compares no servers. */
#define VSCHED_OUTLIERS_NONE 0
/** Ejection compares with the mean, and by the standard deviation. */
#define VSCHED_OUTLIERS_MEAN 1
/** Ejection compares with the median, and by the median absolute deviation. */
#define VSCHED_OUTLIERS_MEDIAN 2

/** Forwarding method: masquerading (LVS-NAT); both directions pass the director. */
#define VSCHED_MASQ 0
/** Forwarding method: the server is the director itself. */
#define VSCHED_LOCAL 1
/** Forwarding method: tunneling (LVS-TUN). */
#define VSCHED_TUNNEL 2
/** Forwarding method: direct routing (LVS-DR). */
#define VSCHED_ROUTE 3
/** Forwarding method: packets go on to their original destination. */
#define VSCHED_BYPASS 4

/** Tunnel type: IP in IP. */
#define VSCHED_TUNNEL_IPIP 0
/** Tunnel type: generic UDP encapsulation. */
#define VSCHED_TUNNEL_GUE 1
/** Tunnel type: GRE. */
#define VSCHED_TUNNEL_GRE 2

/** Outer header of a tunnel: no checksum. */
#define VSCHED_CHECKSUM_NONE 0
/** Outer header of a tunnel: checksum. */
#define VSCHED_CHECKSUM_FULL 1
/** Outer header of a tunnel: remote checksum offload, GUE only. */
#define VSCHED_CHECKSUM_REMOTE 2

/** A real server of a service. The weight has no default: 0 is a quiesced server. */
typedef struct vsched_server {
    /** sizeof(vsched_server). */
    uint32_t struct_size;
    /**
     * Share of the connections, 0 to 2147483647. 0: quiesced; no new connections, existing ones go
     * on.
     */
    uint32_t weight;
    /**
     * Address and port, unique within the service: "192.168.5.11:80", "[2001:db8::1]:80". Port 0
     * keeps the client's destination port.
     */
    struct vsched_text address;
    /** VSCHED_MASQ, VSCHED_ROUTE or VSCHED_TUNNEL. */
    uint32_t forwarding;
    /** Number of connections at which the server becomes overloaded; 0: never. */
    uint32_t upper_threshold;
    /**
     * An overloaded server is available again below this number; 0: three quarters of the upper
     * threshold.
     */
    uint32_t lower_threshold;
    /** One of VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL; else 0. */
    uint32_t tunnel;
    /** One of VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE for a GUE or GRE tunnel; else 0. */
    uint32_t tunnel_checksum;
    /** UDP port of a GUE tunnel, 1 to 65535; else 0. */
    uint32_t tunnel_port;
    /** Tier of the server, 0 to 255: 0 serves first, 1 is a backup. */
    uint32_t priority;
    /** 0. */
    uint32_t reserved;
    /**
     * Your own number for the server, such as an index or an address of your structure: picks
     * return it.
     */
    uint64_t user_data;
    /**
     * Name, unique within the service: 1 to 253 ASCII letters, digits and -_./@, one of them a
     * letter. Default: none.
     */
    struct vsched_text name;
} vsched_server;

/** Kernel whose decisions to follow: Linux from 6.1.187, 6.12.107 and all of 7.x (the default). */
#define VSCHED_KERNEL_RULES_B 0
/** Kernel whose decisions to follow: older, Linux up to 6.1.176 and 6.12.101. */
#define VSCHED_KERNEL_RULES_A 1

/** Settings of a config that belong to no service. Zeros mean the default. */
typedef struct vsched_settings {
    /** sizeof(vsched_settings). */
    uint32_t struct_size;
    /** VSCHED_KERNEL_RULES_B or VSCHED_KERNEL_RULES_A. */
    uint32_t kernel_rules;
    /** Seed of the random schedulers; equal seeds give equal decisions. */
    uint64_t seed;
    /**
     * Not 0: persistent clients of a quiesced server get another server at their next connection.
     */
    uint32_t expire_quiescent_template;
    /** Timeout of an established TCP connection in seconds, 1 to 2678400; 0: the kernel's. */
    uint32_t timeout_tcp;
    /** Timeout of a TCP connection after a FIN in seconds, 1 to 2678400; 0: the kernel's. */
    uint32_t timeout_tcp_fin;
    /** Timeout of a UDP connection in seconds, 1 to 2678400; 0: the kernel's. */
    uint32_t timeout_udp;
} vsched_settings;

/** @} */

/* ==== Config: edit ============================================================================ */

/**
 * @defgroup vsched-config_edit Config: edit
 *
 * The commands of an administrator as typed calls. Each happens completely or not at all. Limits
 * are checked by vsched_config_validate and by directors, not here. After an error the error text
 * of the config names the item.
 *
 * NULL: no pointer may be NULL, except a text whose length is 0, which is then an empty text.
 *
 * @{
 */

/**
 * Adds a virtual service without servers.
 *
 * Threads: exclusive. Cost: O(services).
 *
 * @param config The config; after an error it is unchanged.
 * @param service The service.
 * @return VSCHED_OK; VSCHED_E_REFUSED: the service exists; VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH;
 *   VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field.
 */
VSCHED_MUST_USE
vsched_status vsched_config_add_service(struct vsched_config *config,
                                        const struct vsched_service *service);

/**
 * Gives a virtual service new settings; its servers stay.
 *
 * Threads: exclusive. Cost: O(services).
 *
 * @param config The config; after an error it is unchanged.
 * @param service The service with its new settings.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH;
 *   VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field.
 */
VSCHED_MUST_USE
vsched_status vsched_config_edit_service(struct vsched_config *config,
                                         const struct vsched_service *service);

/**
 * Deletes a virtual service with its servers.
 *
 * Threads: exclusive. Cost: O(services).
 *
 * @param config The config.
 * @param key Key of the service, such as "tcp 192.168.4.5:80", or its name.
 * @param key_length Bytes of the key.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_LENGTH; VSCHED_E_UTF8;
 *   VSCHED_E_PARSE.
 */
VSCHED_MUST_USE
vsched_status vsched_config_delete_service(struct vsched_config *config,
                                           const char *key,
                                           size_t key_length);

/**
 * Deletes every virtual service. The settings stay.
 *
 * Threads: exclusive.
 *
 * @param config The config.
 * @return VSCHED_OK.
 */
vsched_status vsched_config_clear(struct vsched_config *config);

/**
 * Adds a server at the head of the server list of a service.
 *
 * Threads: exclusive. Cost: O(services + servers of the service).
 *
 * @param config The config; after an error it is unchanged.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param server The server.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service, or it has the server;
 *   VSCHED_E_STRUCT_SIZE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
 *   VSCHED_E_ARGUMENT: another field.
 */
VSCHED_MUST_USE
vsched_status vsched_config_add_server(struct vsched_config *config,
                                       const char *key,
                                       size_t key_length,
                                       const struct vsched_server *server);

/**
 * Gives a server new settings; its position in the list stays.
 *
 * Threads: exclusive. Cost: O(services + servers of the service).
 *
 * @param config The config; after an error it is unchanged.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param server The server with its new settings.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_STRUCT_SIZE;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address; VSCHED_E_ARGUMENT: another
 *   field.
 */
VSCHED_MUST_USE
vsched_status vsched_config_edit_server(struct vsched_config *config,
                                        const char *key,
                                        size_t key_length,
                                        const struct vsched_server *server);

/**
 * Deletes a server of a service.
 *
 * Threads: exclusive. Cost: O(services + servers of the service).
 *
 * @param config The config.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param address Address and port of the server, such as "192.168.5.11:80", or its name.
 * @param address_length Bytes of the address.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_LENGTH; VSCHED_E_UTF8;
 *   VSCHED_E_PARSE: key or address.
 */
VSCHED_MUST_USE
vsched_status vsched_config_delete_server(struct vsched_config *config,
                                          const char *key,
                                          size_t key_length,
                                          const char *address,
                                          size_t address_length);

/**
 * Replaces the settings of the config. Its services stay.
 *
 * Threads: exclusive.
 *
 * @param config The config; after an error it is unchanged.
 * @param settings The new settings.
 * @return VSCHED_OK; VSCHED_E_STRUCT_SIZE; VSCHED_E_ARGUMENT.
 */
VSCHED_MUST_USE
vsched_status vsched_config_set_settings(struct vsched_config *config,
                                         const struct vsched_settings *settings);

/**
 * Reads the settings of the config.
 *
 * Threads: shared.
 *
 * @param config The config.
 * @param[in,out] settings Receives the settings; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_config_settings(const struct vsched_config *config,
                                     struct vsched_settings *settings);

/** @} */

/* ==== Config: validation and requirements ===================================================== */

/**
 * @defgroup vsched-requirements Config: validation and requirements
 *
 * Checks of a config before a director runs it, and what hosts need to run it in a kernel.
 *
 * NULL: no pointer may be NULL, except `host` if `host_length` is 0, `buffer` if `capacity` is 0,
 * and `length`.
 *
 * @{
 */

/**
 * Checks every limit, with the default limit on memory. The error text lists the problems, one per
 * line with its path, such as "service tcp 192.168.4.5:80: server 192.168.5.11:80: weight: ...".
 * Past the first 100 problems it only counts.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The config.
 * @return VSCHED_OK; VSCHED_E_INVALID.
 */
VSCHED_MUST_USE
vsched_status vsched_config_validate(const struct vsched_config *config);

/**
 * Computes the maximum memory of a director that runs this config: remembered addresses, tables
 * and server slots. Maps of addresses (affinity_capacity) are nearly all of it; they reserve
 * address space at once and take memory as they fill. The memory of workers is not included.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The config.
 * @param[out] bytes The maximum in bytes.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_config_memory(const struct vsched_config *config,
                                   uint64_t *bytes);

/**
 * Prints what hosts need for this config to work in a kernel's IPVS: shell commands, with the
 * reason for each as a comment. Proxies need none of it.
 *
 * Threads: shared.
 *
 * @param config The config.
 * @param host "director", or the address of a real server; empty for all hosts.
 * @param host_length Bytes of the host.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: another host; VSCHED_E_LENGTH; VSCHED_E_UTF8;
 *   VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_config_requirements(const struct vsched_config *config,
                                         const char *host,
                                         size_t host_length,
                                         char *buffer,
                                         size_t capacity,
                                         size_t *length);

/**
 * Prints the same requirements, each followed by a line "# Here: ..." that says whether this host
 * meets it. Reads files below /proc, /sys and /lib/modules and changes nothing.
 *
 * Threads: shared.
 *
 * @param config The config.
 * @param host "director", or the address of a real server; empty for all hosts.
 * @param host_length Bytes of the host.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: another host; VSCHED_E_LENGTH; VSCHED_E_UTF8;
 *   VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_config_check_local(const struct vsched_config *config,
                                        const char *host,
                                        size_t host_length,
                                        char *buffer,
                                        size_t capacity,
                                        size_t *length);

/** @} */

/* ==== Ids, flows, picks and leases ============================================================ */

/**
 * @defgroup vsched-data Ids, flows, picks and leases
 *
 * Plain values in the caller's memory: copy them freely, except leases, and free nothing.
 * Addresses are in network order, with IPv4 in the first four bytes and zeros after it. Ports,
 * marks and other numbers are in host order. Fields named "private" are the library's.
 *
 * @{
 */

/**
 * Id of a virtual service in one director. It survives reloads and edits. After the service is
 * deleted it is stale for good: functions return VSCHED_NO_SERVICE, even if a service with the
 * same key is added again under a new id. Look an id up once per service, and again after
 * VSCHED_NO_SERVICE. All zeros identify no service.
 */
typedef struct vsched_service_id {
    /** Private. */
    uint32_t slot;
    /** Private. */
    uint32_t generation;
} vsched_service_id;

/**
 * Id of a real server in one director. It survives reloads and edits, and becomes stale once the
 * server is removed and its last connection has closed. Compare ids bytewise. All zeros identify
 * no server.
 */
typedef struct vsched_server_id {
    /** Private. */
    uint32_t slot;
    /** Private. */
    uint32_t generation;
} vsched_server_id;

/**
 * One connection attempt as its first packet shows it: the input of schedulers.
 *
 * Start from all zeros. A zero flow is enough for schedulers that do not hash (all but sh, dh, mh,
 * lblc and lblcr) unless the service is persistent. vsched_flow_from_sockaddr fills in the
 * addresses; it also recognizes IPv4-mapped IPv6 addresses, which must be written as IPv4 when
 * filling in a flow directly.
 */
typedef struct vsched_flow {
    /** Address of the client. */
    uint8_t client[16];
    /** Destination (virtual) address. */
    uint8_t destination[16];
    /** If `has_key` is not 0, schedulers that hash the client hash this instead. */
    uint64_t key;
    /** Firewall mark; 0: none. */
    uint32_t fwmark;
    /** Port of the client. */
    uint16_t client_port;
    /** Destination port. */
    uint16_t destination_port;
    /** 4 or 6; 0: no addresses given. */
    uint8_t family;
    /** IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0: not given. */
    uint8_t protocol;
    /** Not 0: `key` is given. */
    uint8_t has_key;
    /** Set to 0. */
    uint8_t reserved[5];
} vsched_flow;

/**
 * A scheduling decision: the server, and how to reach it. It stays usable for any time; opening a
 * connection on a server that has gone returns VSCHED_STALE.
 */
typedef struct vsched_pick {
    /** The server, to open a connection on or to exclude from the next attempt. */
    struct vsched_server_id server;
    /** Address of the server. */
    uint8_t address[16];
    /** Port of the server; the flow's destination port if the server has port 0. */
    uint16_t port;
    /** 4 or 6. */
    uint8_t family;
    /** Forwarding method, VSCHED_MASQ to VSCHED_BYPASS; proxies treat all alike. */
    uint8_t forwarding;
    /** VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL. */
    uint8_t tunnel;
    /** VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE of the tunnel. */
    uint8_t tunnel_checksum;
    /** UDP port of a GUE tunnel. */
    uint16_t tunnel_port;
    /** Your own number for the server, from its configuration (vsched_server). */
    uint64_t user_data;
    /** Private: the persistence template that led to the server. */
    uint64_t opaque[2];
} vsched_pick;

/**
 * An open connection: keep it with the connection and pass it to vsched_worker_close, through any
 * worker of the same director, whatever reloads happened in between. All zeros are an empty lease;
 * closing empties it.
 *
 * Move leases instead of copying them: the library cannot tell a copy of a closed lease from an
 * open one. No count drops below zero even then.
 */
typedef struct vsched_lease {
    /** The server. */
    struct vsched_server_id server;
    /** Private. */
    uint64_t opaque[3];
} vsched_lease;

/** @} */

/* ==== Director: make, apply, tick ============================================================= */

/**
 * @defgroup vsched-director Director: make, apply, tick
 *
 * A director runs a config and keeps its state across changes: connection counts, rotations,
 * affinity and statistics survive every reload. Make one with vsched_director_new, make one worker
 * per thread with vsched_worker_new, apply new configs or single edits at any time, call
 * vsched_director_tick about once a second, and free it with vsched_director_free. Workers may
 * outlive it. After an error the error text of the director names the item.
 *
 * NULL: no pointer may be NULL, except `applied`, `buffer` if `capacity` is 0, `length`, and the
 * argument of vsched_director_free.
 *
 * @{
 */

/**
 * Runs a config: the control plane. Its functions may be called from several threads at once. Free
 * it with vsched_director_free.
 */
typedef struct vsched_director vsched_director;

/** Limits on what a director may take from its host. Zeros mean the default. */
typedef struct vsched_limits {
    /** sizeof(vsched_limits). */
    uint32_t struct_size;
    /** Set to 0. */
    uint32_t reserved;
    /**
     * Maximum for vsched_config_memory in bytes. Default: 8589934592 (8 GiB); UINT64_MAX: no limit
     * but the system's.
     */
    uint64_t memory;
} vsched_limits;

/**
 * What a change did, as numbers of services and servers. Adding or removing a service counts the
 * service and each of its servers.
 */
typedef struct vsched_applied {
    /** sizeof(vsched_applied). */
    uint32_t struct_size;
    /** Added. */
    uint32_t added;
    /** Edited: same key or address, other settings. */
    uint32_t changed;
    /** Servers whose weight became 0. */
    uint32_t drained;
    /** Removed. */
    uint32_t removed;
    /** 1 if kernel rules, seed, timeouts or daemons changed. */
    uint32_t settings;
} vsched_applied;

/**
 * Makes a director that runs a config, with the default limits.
 *
 * Threads: shared on the config. Cost: O(services + servers).
 *
 * @param config The config; it stays yours. After an error its error text lists the problems.
 * @param[out] director The new director; free it with vsched_director_free.
 * @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY: the system has no memory for the config.
 */
VSCHED_MUST_USE
vsched_status vsched_director_new(const struct vsched_config *config,
                                  struct vsched_director **director);

/**
 * Makes a director that runs a config within limits. It later rejects every config and command
 * that exceeds them with VSCHED_E_INVALID; the error text then names the total, the limit and the
 * largest service.
 *
 * Threads: shared on the config. Cost: O(services + servers).
 *
 * @param config The config; it stays yours. After an error its error text lists the problems.
 * @param limits The limits.
 * @param[out] director The new director; free it with vsched_director_free.
 * @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE; VSCHED_E_ARGUMENT:
 *   a reserved field is not 0.
 */
VSCHED_MUST_USE
vsched_status vsched_director_new_with_limits(const struct vsched_config *config,
                                              const struct vsched_limits *limits,
                                              struct vsched_director **director);

/**
 * Frees a director. Workers go on with the config that ran last, and still close leases.
 *
 * Threads: exclusive.
 *
 * @param director The director; NULL does nothing.
 */
void vsched_director_free(struct vsched_director *director);

/**
 * Replaces the running config in one step, whatever that removes. A pick that begins afterwards
 * sees all of the new config; a pick in progress sees all of the old or all of the new one. What
 * both configs have in common keeps its state, and an equal config changes nothing. An empty
 * config removes everything: for configs from files use vsched_director_apply_with.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director; after an error nothing has changed.
 * @param config The new config; it stays yours.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_apply(const struct vsched_director *director,
                                    const struct vsched_config *config,
                                    struct vsched_applied *applied);

/**
 * Advances the director's clock and does what is due: frees what reloads have left and forgets
 * expired addresses. Call it about once a second.
 *
 * An expired address is not found any more once this has returned, however many there are and
 * however far the clock has jumped. Its memory is freed later in a large map: each call visits at
 * most 131,072 entries of each map, which has two to four per address of affinity_capacity. So a
 * map for a million addresses is swept in 16 calls, and the largest in 256. A full map is swept
 * whole at once, so that new addresses have room.
 *
 * Threads: control. Other control calls get the lock after each millisecond or so.
 *
 * Cost: O(services + removed servers), plus what the sweeps visit; in a service of lblc or lblcr
 * with more than 16,384 addresses, the first call in each minute visits all of them.
 *
 * @param director The director.
 * @param now_ms Milliseconds since any fixed moment, such as CLOCK_MONOTONIC. A clock that jumps
 *   back is ignored.
 * @return VSCHED_OK.
 */
vsched_status vsched_director_tick(const struct vsched_director *director,
                                   uint64_t now_ms);

/**
 * Copies the running config.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director.
 * @param[out] config The copy; free it with vsched_config_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_director_config(const struct vsched_director *director,
                                     struct vsched_config **config);

/**
 * Copies the text of the latest failure of a function on this director, in any thread; empty if no
 * function has failed. VSCHED_E_NULL, VSCHED_E_BUFFER, a wrong struct_size of an output, and stale
 * or unknown ids may leave the previous text.
 *
 * Threads: any.
 *
 * @param director The director.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_BUFFER.
 */
vsched_status vsched_director_error(const struct vsched_director *director,
                                    char *buffer,
                                    size_t capacity,
                                    size_t *length);

/** @} */

/* ==== Director: apply with guardrails ========================================================= */

/**
 * @defgroup vsched-policy Director: apply with guardrails
 *
 * Guardrails protect against a config that is empty or cut off by mistake, for example because its
 * file was being written.
 *
 * NULL: no pointer may be NULL, except `policy`, which means the default policy, and `applied`.
 *
 * @{
 */

/** For vsched_apply_policy: no server may be removed. */
#define VSCHED_DELETE_NONE UINT32_MAX

/**
 * What vsched_director_apply_with may remove from the running config. Zeros mean the default.
 *
 * A server counts as removed if it runs and the new config does not have it at the same service,
 * by address and port: servers that are replaced count, and all servers of a removed service. The
 * share refers to the servers of all services together, without exception for small numbers: 1 of
 * 1 is 100 percent, 1 of 2 is 50. To replace more than the limit, add first and remove later.
 */
typedef struct vsched_apply_policy {
    /** sizeof(vsched_apply_policy). */
    uint32_t struct_size;
    /**
     * Not 0: a service that stays and has an eligible server (weight above 0) may lose its last
     * eligible server. Removing a service does not count as closing it.
     */
    uint32_t may_close_services;
    /**
     * Maximum of servers to remove, in percent of the running servers, 1 to 100;
     * VSCHED_DELETE_NONE: none. Default: 50.
     */
    uint32_t most_deleted;
} vsched_apply_policy;

/**
 * Applies a config like vsched_director_apply, unless that removes more than a policy allows: by
 * default more than half of the servers, or the last eligible server of a service.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director; after an error nothing has changed.
 * @param config The new config; it stays yours.
 * @param policy The policy, or NULL.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_GUARDRAILS: the error text names what would be removed, the limit,
 *   and the field that allows it; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_ARGUMENT: the
 *   policy; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_apply_with(const struct vsched_director *director,
                                         const struct vsched_config *config,
                                         const struct vsched_apply_policy *policy,
                                         struct vsched_applied *applied);

/** @} */

/* ==== Director: edit ========================================================================== */

/**
 * @defgroup vsched-director_edit Director: edit
 *
 * Single commands on the running config. Each happens completely or not at all. The cost depends
 * on the service that it edits, plus a copy of two words per service. Connection counts stay. After
 * an error the error text of the director names the item.
 *
 * NULL: no pointer may be NULL, except `applied`, `done`, and a text whose length is 0, which is
 * then an empty text.
 *
 * @{
 */

/**
 * Executes one administrative command, as a kernel would: a line such as "-e -t 192.168.4.5:80 -r
 * 192.168.5.11 -m -w 0", with or without the word ipvsadm before it.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param command The command.
 * @param length Bytes of the command.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_PARSE: not exactly one command; VSCHED_E_REFUSED: what it adds
 *   exists, or what it edits or deletes does not; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_execute(const struct vsched_director *director,
                                      const char *command,
                                      size_t length,
                                      struct vsched_applied *applied);

/**
 * Executes the commands of a rules text in order, as an administrator would: rotations then stand
 * where those of a kernel stand that has received its servers one by one. Stops at the first
 * command that fails; the commands before it stay in effect.
 *
 * Threads: control.
 *
 * @param director The director.
 * @param rules The commands.
 * @param length Bytes of the commands.
 * @param[out] done Number of commands in effect, or NULL; written after errors too.
 * @return VSCHED_OK; VSCHED_E_PARSE: a line does not parse, and no command was executed;
 *   VSCHED_E_REFUSED; VSCHED_E_INVALID; VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8.
 */
VSCHED_MUST_USE
vsched_status vsched_director_replay(const struct vsched_director *director,
                                     const char *rules,
                                     size_t length,
                                     size_t *done);

/**
 * Adds a virtual service without servers.
 *
 * Threads: control.
 *
 * @param director The director; after an error nothing has changed.
 * @param service The service.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: the service exists; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field;
 *   VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_add_service(const struct vsched_director *director,
                                          const struct vsched_service *service,
                                          struct vsched_applied *applied);

/**
 * Gives a virtual service new settings; its servers and their counts stay.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param service The service with its new settings.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_ARGUMENT: another field;
 *   VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_edit_service(const struct vsched_director *director,
                                           const struct vsched_service *service,
                                           struct vsched_applied *applied);

/**
 * Deletes a virtual service with its servers. Open connections count until they are closed.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service; VSCHED_E_INVALID; VSCHED_E_CAPACITY;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_delete_service(const struct vsched_director *director,
                                             const char *key,
                                             size_t key_length,
                                             struct vsched_applied *applied);

/**
 * Adds a server at the head of the server list of a service. A server that was removed and still
 * has connections gets its counts back.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param server The server.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service, or it has the server; VSCHED_E_INVALID;
 *   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
 *   VSCHED_E_ARGUMENT: another field; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_add_server(const struct vsched_director *director,
                                         const char *key,
                                         size_t key_length,
                                         const struct vsched_server *server,
                                         struct vsched_applied *applied);

/**
 * Gives a server new settings, such as another weight; its counts and its position in the list
 * stay.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param server The server with its new settings.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_INVALID;
 *   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
 *   VSCHED_E_ARGUMENT: another field; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_edit_server(const struct vsched_director *director,
                                          const char *key,
                                          size_t key_length,
                                          const struct vsched_server *server,
                                          struct vsched_applied *applied);

/**
 * Deletes a server of a service. Open connections count until they are closed.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param address Address and port of the server, such as "192.168.5.11:80", or its name.
 * @param address_length Bytes of the address.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_REFUSED: no such service or server; VSCHED_E_INVALID;
 *   VSCHED_E_CAPACITY; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: key or address;
 *   VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_delete_server(const struct vsched_director *director,
                                            const char *key,
                                            size_t key_length,
                                            const char *address,
                                            size_t address_length,
                                            struct vsched_applied *applied);

/** @} */

/* ==== Block: state that processes share ======================================================= */

/**
 * @defgroup vsched-block Block: state that processes share
 *
 * A block is memory in which directors of several processes share connection counts, states of
 * servers and rotations, so that they pick as one. Make a handle with vsched_block_new, give it
 * memory with one of vsched_block_anonymous, vsched_block_named, vsched_block_attach and
 * vsched_block_format_or_attach, and make a director on it in each process with
 * vsched_director_new_in_block. A director keeps the block's memory of the library until it and
 * its workers are freed; memory of the caller must stay for as long. After an error the error text
 * of the handle says why.
 *
 * NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, `length`, and the argument of
 * vsched_block_free.
 *
 * @{
 */

/**
 * A handle of shared memory. Its functions may be called from several threads at once. Free it
 * with vsched_block_free.
 */
typedef struct vsched_block vsched_block;

/** For how much a block has room. */
typedef struct vsched_block_limits {
    /** sizeof(vsched_block_limits). */
    uint32_t struct_size;
    /**
     * Servers of all services, those that were removed and still have connections included.
     * Rounded up to the next of 64, 192, 448, 960, ...: 2^k - 64.
     */
    uint32_t servers;
    /** Services, rounded up likewise. */
    uint32_t services;
    /** Directors at a time, 1 to 64, or to 32 with `addresses`. 0: 16. */
    uint32_t owners;
    /**
     * Client addresses that persistent services remember, together, up to 16,777,216: each service
     * takes as many as its affinity.capacity, at least 512, rounded up to a power of two. 0: none;
     * then a config with a persistent service is refused.
     */
    uint32_t addresses;
} vsched_block_limits;

/**
 * Makes a handle without a block.
 *
 * Threads: any.
 *
 * @param[out] block The new handle; free it with vsched_block_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_block_new(struct vsched_block **block);

/**
 * Frees a handle. Directors on its block go on.
 *
 * Threads: exclusive.
 *
 * @param block The handle; NULL does nothing.
 */
void vsched_block_free(struct vsched_block *block);

/**
 * Returns the size of a block.
 *
 * Threads: any.
 *
 * @param block The handle, for the error text.
 * @param limits For how much it has room.
 * @param[out] size Its size in bytes. Its memory must be aligned to 8.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: a limit is out of range; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_block_size(const struct vsched_block *block,
                                const struct vsched_block_limits *limits,
                                size_t *size);

/**
 * Makes a new block in memory of the library, which children inherit through fork.
 *
 * Threads: any.
 *
 * @param block The handle, without a block.
 * @param limits For how much it has room.
 * @return VSCHED_OK; VSCHED_E_BLOCK: the system has no memory; VSCHED_E_ARGUMENT: a limit is out
 *   of range; VSCHED_E_REFUSED: the handle has a block; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_block_anonymous(const struct vsched_block *block,
                                     const struct vsched_block_limits *limits);

/**
 * Uses the block in a file, which is made if it does not exist. The file is readable and writable
 * by its user alone. Keep it where no other user can write: a program that can may spoil every
 * decision, and one that shortens the file ends the processes that use it.
 *
 * Threads: any.
 *
 * @param block The handle, without a block.
 * @param path The file, such as one in a folder of the proxy's own in /dev/shm.
 * @param length Length of the path in bytes.
 * @param limits For how much it has room.
 * @return VSCHED_OK; VSCHED_E_BLOCK: the file cannot be opened, is something else, belongs to
 *   another user, can be written by others, or has other limits; VSCHED_E_ARGUMENT;
 *   VSCHED_E_LENGTH: the file is too short; VSCHED_E_UTF8; VSCHED_E_REFUSED: the handle has a
 *   block; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_block_named(const struct vsched_block *block,
                                 const char *path,
                                 size_t length,
                                 const struct vsched_block_limits *limits);

/**
 * Makes memory of the caller a new block, whatever it was. No other code may use it during the
 * call.
 *
 * Threads: any.
 *
 * @param block The handle, for the error text; it does not get the block.
 * @param memory The memory, aligned to 8. After an error nothing was written.
 * @param length Its length in bytes, at least that of vsched_block_size.
 * @param limits For how much the block has room.
 * @return VSCHED_OK; VSCHED_E_LENGTH: the memory is too short; VSCHED_E_BLOCK: it is misaligned;
 *   VSCHED_E_ARGUMENT: a limit is out of range; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_block_format(const struct vsched_block *block,
                                  void *memory,
                                  size_t length,
                                  const struct vsched_block_limits *limits);

/**
 * Uses memory of the caller that is a block, formatted by any process. Everything that the memory
 * says of itself is checked.
 *
 * Threads: any.
 *
 * @param block The handle, without a block.
 * @param memory The memory, which begins as many bytes after a multiple of 64 as when it was
 *   formatted. It must stay until the handle, every director on the block and their workers are
 *   freed.
 * @param length Its length in bytes.
 * @return VSCHED_OK; VSCHED_E_BLOCK: it is not formatted, is being formatted, is something else,
 *   is damaged or misaligned; VSCHED_E_LENGTH: it is shorter than it says; VSCHED_E_REFUSED: the
 *   handle has a block.
 */
VSCHED_MUST_USE
vsched_status vsched_block_attach(const struct vsched_block *block,
                                  void *memory,
                                  size_t length);

/**
 * Uses memory of the caller that is a block with these limits, or makes it one if it is all zeros.
 * Of any number of processes that call this at once, one formats; to the others it is a block that
 * is being formatted, until it is one: call again.
 *
 * Threads: any.
 *
 * @param block The handle, without a block.
 * @param memory The memory, as for vsched_block_attach.
 * @param length Its length in bytes, at least that of vsched_block_size.
 * @param limits For how much the block has room.
 * @return VSCHED_OK; as vsched_block_attach and vsched_block_format; VSCHED_E_BLOCK: it has other
 *   limits.
 */
VSCHED_MUST_USE
vsched_status vsched_block_format_or_attach(const struct vsched_block *block,
                                            void *memory,
                                            size_t length,
                                            const struct vsched_block_limits *limits);

/**
 * Gives back what a process held that has ended: its connections, and its place in the block. Any
 * process may call it, several at once, and die of it: each count is given back once. Waits for no
 * other process. Only for a process that has ended: of one that goes on, counts are wrong
 * afterwards.
 *
 * Threads: any.
 *
 * @param block The handle.
 * @param process The process id, as the process itself saw it.
 * @param[out] left At how many servers others kept changing the counts, so that they are not given
 *   back yet: call again while it is not 0.
 * @return VSCHED_OK, also if it held nothing; VSCHED_E_ARGUMENT: the handle has no block.
 */
VSCHED_MUST_USE
vsched_status vsched_block_reclaim_process(const struct vsched_block *block,
                                           uint32_t process,
                                           uint32_t *left);

/**
 * As vsched_block_reclaim_process, of every process that has ended, where the system says so: on
 * Linux, of processes in this one's pid namespace. For hosts that do not learn of each end, and
 * for a named block after a crash of all processes.
 *
 * Threads: any. Cost: system calls for each director in the block.
 *
 * @param block The handle.
 * @param[out] left As for vsched_block_reclaim_process.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: the handle has no block.
 */
VSCHED_MUST_USE
vsched_status vsched_block_reclaim_dead(const struct vsched_block *block,
                                        uint32_t *left);

/**
 * Makes a director whose state is in a block: that of all directors on it, in any process. Call it
 * after fork. What it has open when it is freed is given back.
 *
 * Threads: shared on the config and the handle. Cost: O(services + servers) and O(room of the
 * block).
 *
 * @param config The config; it stays yours. After an error its error text says why.
 * @param block The handle; its block stays until the director and its workers are freed.
 * @param[out] director The new director; free it with vsched_director_free.
 * @return VSCHED_OK; VSCHED_E_BLOCK: a setting of the config cannot be shared; VSCHED_E_CAPACITY:
 *   the block has no room for the config or for another director; VSCHED_E_REFUSED: another
 *   process has been changing the block's services for ten seconds; VSCHED_E_INVALID;
 *   VSCHED_E_ARGUMENT: the handle has no block.
 */
VSCHED_MUST_USE
vsched_status vsched_director_new_in_block(const struct vsched_config *config,
                                           const struct vsched_block *block,
                                           struct vsched_director **director);

/**
 * Copies the text of the latest failure of a function on this handle, in any thread; empty if no
 * function has failed. VSCHED_E_NULL, VSCHED_E_BUFFER and VSCHED_E_STRUCT_SIZE may leave the
 * previous text.
 *
 * Threads: any.
 *
 * @param block The handle.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_BUFFER.
 */
vsched_status vsched_block_error(const struct vsched_block *block,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *length);

/** @} */

/* ==== Director: look-up ======================================================================= */

/**
 * @defgroup vsched-lookup Director: look-up
 *
 * Ids of services and servers, and decisions for callers without a worker.
 *
 * NULL: no pointer may be NULL, except a text whose length is 0, which is then an empty text.
 *
 * @{
 */

/**
 * Finds a service by its key or its name.
 *
 * Threads: control. Cost: O(1).
 *
 * @param director The director.
 * @param key The key, such as "tcp 192.168.4.5:80" or "fwmark 7", or the name.
 * @param key_length Bytes of the key.
 * @param[out] service Id of the service.
 * @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_service(const struct vsched_director *director,
                                      const char *key,
                                      size_t key_length,
                                      struct vsched_service_id *service);

/**
 * Finds the service for a flow; see vsched_worker_service_for.
 *
 * Threads: control. Cost: O(1).
 *
 * @param director The director.
 * @param flow The flow.
 * @param[out] service Id of the service.
 * @return VSCHED_OK; VSCHED_NO_SERVICE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_service_for(const struct vsched_director *director,
                                          const struct vsched_flow *flow,
                                          struct vsched_service_id *service);

/**
 * Finds a server by the key or name of its service, and its own address and port or name.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param address Address and port of the server, such as "192.168.5.11:80", or its name.
 * @param address_length Bytes of the address.
 * @param[out] server Id of the server.
 * @return VSCHED_OK; VSCHED_STALE: no such service or server; VSCHED_E_LENGTH; VSCHED_E_UTF8;
 *   VSCHED_E_PARSE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_server(const struct vsched_director *director,
                                     const char *key,
                                     size_t key_length,
                                     const char *address,
                                     size_t address_length,
                                     struct vsched_server_id *server);

/**
 * Picks a server once, for callers without a worker. A data plane uses vsched_worker_pick_server.
 *
 * Threads: control.
 *
 * @param director The director.
 * @param service Id of the service.
 * @param flow The flow.
 * @param[out] pick The decision.
 * @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_pick_server(const struct vsched_director *director,
                                          struct vsched_service_id service,
                                          const struct vsched_flow *flow,
                                          struct vsched_pick *pick);

/** @} */

/* ==== Read-out: services, servers, counts ===================================================== */

/**
 * @defgroup vsched-states Read-out: services, servers, counts
 *
 * Snapshots of services and servers as arrays in the caller's memory, in the order of ipvsadm. See
 * "Texts, arrays and sized structs" for the capacity convention. In a snapshot of a config, ids
 * and figures are 0.
 *
 * NULL: no pointer may be NULL, except `array` if `capacity` is 0, `count` of an array output, and
 * `key` if `key_length` is 0, which is then an empty text.
 *
 * @{
 */

/** Size of the texts for keys and for addresses with port, including the NUL. */
#define VSCHED_KEY_SIZE 64
/** Size of the texts for names, including the NUL. */
#define VSCHED_NAME_SIZE 256

/** A virtual service that runs or is configured. Texts end with a NUL. */
typedef struct vsched_service_state {
    /** Id of the service. */
    struct vsched_service_id id;
    /** Its key, as vsched_director_service takes it. */
    char key[VSCHED_KEY_SIZE];
    /** Short name of its scheduler; "none" without one. */
    char scheduler[16];
    /** Connections opened since the service was added. */
    uint64_t connections;
    /** Picks of workers that found no server. */
    uint64_t refused;
    /** Addresses that lblc or lblcr remembers, plus persistence templates. */
    uint32_t remembered;
    /** Maximum of `remembered`; 0 if the service remembers nothing. */
    uint32_t capacity;
    /**
     * Picks that were not remembered for lack of room, where a kernel would have remembered them.
     * If it grows, raise affinity_capacity.
     */
    uint64_t forgotten;
    /** Number of real servers. */
    uint32_t servers;
    /** Firewall mark; 0: the key is address and port. */
    uint32_t fwmark;
    /** Address in network order, IPv4 in the first four bytes; all 0 with a mark. */
    uint8_t address[16];
    /** Port in host order; 0: every port, or a mark. */
    uint16_t port;
    /** Address family of its packets, 4 or 6. */
    uint8_t family;
    /** IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0 with a mark. */
    uint8_t protocol;
    /** 1: one-packet scheduling. */
    uint32_t one_packet;
    /** Scheduler flags, separated by commas, such as "mh-port". */
    char flags[VSCHED_KEY_SIZE];
    /** Which clients count as one: "255.255.255.0", "64"; empty: each address separately. */
    char persistence_netmask[16];
    /**
     * Persistence engine; empty: none. Longer names, which vsched_config_validate rejects, are
     * cut.
     */
    char persistence_engine[16];
    /** "exact", "per-worker", or "chunks-1" to "chunks-64". */
    char sharing[16];
    /** Seconds that a client keeps its server; 0: not persistent. */
    uint32_t persistence_timeout;
    /** Table size of scheduler mh, 8 to 17. */
    uint32_t mh_table_index;
    /** Configured maximum of addresses to remember; `capacity` is the room at present. */
    uint32_t affinity_capacity;
    /** Seconds that lblc and lblcr remember an address. */
    uint32_t affinity_expiration;
    /** "kernel" or "rotate". */
    char ties[16];
    /** Over-provisioning factor in percent; 0: strictly by priority. */
    uint32_t spill_over;
    /** Panic threshold in percent; 0: never. */
    uint32_t panic_threshold;
    /** Seconds of slow start; 0: none. */
    uint32_t slow_start;
    /** Shape of slow start in hundredths; 0 without it. */
    uint32_t slow_start_aggression;
    /** Least share of the weight in percent; 0 without slow start. */
    uint32_t slow_start_least;
    /** 1: servers are ejected for their failures. If 0, all fields of ejection below are 0. */
    uint32_t eject;
    /** Number of failures in a row that ejects a server; 0: never. */
    uint32_t eject_failures;
    /** Seconds of an interval. */
    uint32_t eject_interval;
    /** Seconds of a server's first ejection. */
    uint32_t eject_base_time;
    /** Maximum seconds of an ejection. */
    uint32_t eject_max_time;
    /** Largest share of servers ejected, in percent; 0: none. */
    uint32_t eject_max_share;
    /** Connections at a time of a server that returns. */
    uint32_t eject_trials;
    /** VSCHED_OUTLIERS_NONE, _MEAN or _MEDIAN. */
    uint32_t eject_outliers;
    /** Number of spreads in thousandths; 0 without a comparison, as the two fields below. */
    uint32_t eject_factor;
    /** Least outcomes that make a server's share count. */
    uint32_t eject_least_outcomes;
    /** Least number of such servers. */
    uint32_t eject_least_servers;
    /** 1: too few servers are up to believe it, and all that are not meant to be out take part. */
    uint32_t panics;
    /** Number of servers that are up and have a weight. */
    uint32_t up;
    /** Name; empty: none. */
    char name[VSCHED_NAME_SIZE];
} vsched_service_state;

/** A real server that runs or is configured. Texts end with a NUL. */
typedef struct vsched_server_state {
    /** Id of the server. */
    struct vsched_server_id id;
    /** Its address and port, as vsched_director_server takes them. */
    char address_text[VSCHED_KEY_SIZE];
    /** Address in network order, IPv4 in the first four bytes. */
    uint8_t address[16];
    /** Port in host order; 0: the client's destination port. */
    uint16_t port;
    /** 4 or 6. */
    uint8_t family;
    /** Forwarding method, VSCHED_MASQ to VSCHED_BYPASS. */
    uint8_t forwarding;
    /** Weight; 0: quiesced. */
    uint32_t weight;
    /** Number of connections at which the server becomes overloaded; 0: never. */
    uint32_t upper_threshold;
    /** It is available again below this number; 0: three quarters of the upper threshold. */
    uint32_t lower_threshold;
    /** Active connections. */
    uint32_t active;
    /** Inactive connections. */
    uint32_t inactive;
    /** Persistence templates that lead to the server. */
    uint32_t persistent;
    /** 1: overloaded; no new connections. */
    uint32_t overloaded;
    /** Connections opened since the server was added. */
    uint64_t connections;
    /** VSCHED_TUNNEL_IPIP to VSCHED_TUNNEL_GRE if `forwarding` is VSCHED_TUNNEL; else 0. */
    uint32_t tunnel;
    /** VSCHED_CHECKSUM_NONE to VSCHED_CHECKSUM_REMOTE of a GUE or GRE tunnel; else 0. */
    uint32_t tunnel_checksum;
    /** UDP port of a GUE tunnel; else 0. */
    uint32_t tunnel_port;
    /** VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN. */
    uint32_t state;
    /** Tier: 0 serves first. */
    uint32_t priority;
    /**
     * Weight with which it takes part: another one in slow start and with spill-over, 0 in a tier
     * that does not serve. Compare it with that of other servers alone: all may be scaled.
     */
    uint32_t effective_weight;
    /** Your own number for the server. */
    uint64_t user_data;
    /** Name; empty: none. */
    char name[VSCHED_NAME_SIZE];
} vsched_server_state;

/** Connection counts of a server at one moment. */
typedef struct vsched_counts {
    /** Active connections. */
    uint32_t active;
    /** Inactive connections. */
    uint32_t inactive;
    /** Persistence templates that lead to the server. */
    uint32_t persistent;
    /** 1: overloaded; no new connections. */
    uint32_t overloaded;
} vsched_counts;

/**
 * Copies the running services in the order in which they were added.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director.
 * @param[out] array Receives the services.
 * @param element_size sizeof(vsched_service_state).
 * @param capacity Elements of the array.
 * @param[out] count Number of services.
 * @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_services(const struct vsched_director *director,
                                       struct vsched_service_state *array,
                                       size_t element_size,
                                       size_t capacity,
                                       size_t *count);

/**
 * Copies the servers of a running service in list order, the newest first.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director.
 * @param service Id of the service.
 * @param[out] array Receives the servers.
 * @param element_size sizeof(vsched_server_state).
 * @param capacity Elements of the array.
 * @param[out] count Number of servers.
 * @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_servers(const struct vsched_director *director,
                                      struct vsched_service_id service,
                                      struct vsched_server_state *array,
                                      size_t element_size,
                                      size_t capacity,
                                      size_t *count);

/**
 * Copies the services of a config in its order.
 *
 * Threads: shared. Cost: O(services + servers).
 *
 * @param config The config.
 * @param[out] array Receives the services.
 * @param element_size sizeof(vsched_service_state).
 * @param capacity Elements of the array.
 * @param[out] count Number of services.
 * @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_config_services(const struct vsched_config *config,
                                     struct vsched_service_state *array,
                                     size_t element_size,
                                     size_t capacity,
                                     size_t *count);

/**
 * Copies the servers of a service in a config, the newest first.
 *
 * Threads: shared. Cost: O(services + servers of the service).
 *
 * @param config The config.
 * @param key Key or name of the service.
 * @param key_length Bytes of the key.
 * @param[out] array Receives the servers.
 * @param element_size sizeof(vsched_server_state).
 * @param capacity Elements of the array.
 * @param[out] count Number of servers.
 * @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key;
 *   VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_config_servers(const struct vsched_config *config,
                                    const char *key,
                                    size_t key_length,
                                    struct vsched_server_state *array,
                                    size_t element_size,
                                    size_t capacity,
                                    size_t *count);

/**
 * Copies one server with its settings, counts and state.
 *
 * Threads: control. Cost: O(servers of the service + workers); O(templates) in a persistent
 * service.
 *
 * @param director The director.
 * @param server Id of the server.
 * @param[out] state Receives the server.
 * @param state_size sizeof(vsched_server_state).
 * @return VSCHED_OK; VSCHED_STALE: the id is, or the server is not configured any more;
 *   VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_server_state(const struct vsched_director *director,
                                           struct vsched_server_id server,
                                           struct vsched_server_state *state,
                                           size_t state_size);

/**
 * Reads the connection counts of one server.
 *
 * Threads: control. Cost: O(1); O(templates) in a persistent service.
 *
 * @param director The director.
 * @param server Id of the server.
 * @param[out] counts The counts.
 * @return VSCHED_OK; VSCHED_STALE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_counts(const struct vsched_director *director,
                                     struct vsched_server_id server,
                                     struct vsched_counts *counts);

/** @} */

/* ==== Read-out: edit what was read ============================================================ */

/**
 * @defgroup vsched-describe Read-out: edit what was read
 *
 * From a snapshot to a description: change a field of the description and pass it to an edit
 * function. Unchanged, it edits nothing.
 *
 * NULL: no pointer may be NULL.
 *
 * @{
 */

/**
 * Describes a service from its snapshot, for vsched_config_edit_service or
 * vsched_director_edit_service. The texts of the description point into `state`, which must stay
 * in place while they are in use.
 *
 * Threads: any. No allocation.
 *
 * @param state The snapshot.
 * @param state_size sizeof(vsched_service_state).
 * @param[in,out] service Receives the description; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_service_from_state(const struct vsched_service_state *state,
                                        size_t state_size,
                                        struct vsched_service *service);

/**
 * Describes a server from its snapshot, for vsched_config_edit_server or
 * vsched_director_edit_server. The text of the description points into `state`, which must stay in
 * place while it is in use.
 *
 * Threads: any. No allocation.
 *
 * @param state The snapshot.
 * @param state_size sizeof(vsched_server_state).
 * @param[in,out] server Receives the description; set its struct_size before.
 * @return VSCHED_OK; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_server_from_state(const struct vsched_server_state *state,
                                       size_t state_size,
                                       struct vsched_server *server);

/** @} */

/* ==== Listing ================================================================================= */

/**
 * @defgroup vsched-listing Listing
 *
 * What runs, printed as ipvsadm prints it.
 *
 * NULL: no pointer may be NULL, except `key` if `key_length` is 0, `buffer` if `capacity` is 0,
 * and `length`.
 *
 * @{
 */

/** View: forwarding, weight, connections, as `ipvsadm -L -n`. */
#define VSCHED_LIST_PLAIN 0
/** View: totals, as `--stats`. */
#define VSCHED_LIST_STATISTICS 1
/** View: rates per second, as `--rate`. */
#define VSCHED_LIST_RATES 2
/** View: connection limits, as `--thresholds`. */
#define VSCHED_LIST_THRESHOLDS 3
/** View: persistence templates, as `--persistent-conn`. */
#define VSCHED_LIST_PERSISTENT 4
/** View: encapsulation, as `--tun-info`. */
#define VSCHED_LIST_TUNNELS 5

/** Flag: figures in full, as `--exact`. */
#define VSCHED_LIST_EXACT 1
/** Flag: in list order, as `--nosort`. */
#define VSCHED_LIST_UNSORTED 2

/**
 * Prints the running services and servers.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director.
 * @param view One of VSCHED_LIST_PLAIN to VSCHED_LIST_TUNNELS.
 * @param flags 0, or VSCHED_LIST_EXACT and VSCHED_LIST_UNSORTED or-ed together.
 * @param key Key or name of the only service to print; empty for all.
 * @param key_length Bytes of the key.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_NO_SERVICE: the name; VSCHED_E_ARGUMENT: another view or flag;
 *   VSCHED_E_LENGTH; VSCHED_E_UTF8; VSCHED_E_PARSE: the key; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_director_list(const struct vsched_director *director,
                                   uint32_t view,
                                   uint32_t flags,
                                   const char *key,
                                   size_t key_length,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *length);

/** @} */

/* ==== Server states =========================================================================== */

/**
 * @defgroup vsched-server_state Server states
 *
 * What is so of a server at run time, apart from its config: up, draining or down. Several holders
 * set it, each releases only what it holds itself, and the most severe state counts. It survives
 * every reload, and removal and return of the server; it is never written into the config.
 *
 * NULL: no pointer may be NULL, except `result` and `applied`, `array` if `capacity` is 0, `count`
 * of vsched_director_holds, and `reason` if `reason_length` is 0.
 *
 * @{
 */

/** State: no holder holds the server; weight, thresholds and connections decide. */
#define VSCHED_UP 0
/** State: persistent clients and open connections stay; nothing new. */
#define VSCHED_DRAINING 1
/**
 * State: no picks, not even of persistent clients. Open connections stay counted until they close.
 */
#define VSCHED_DOWN 2

/** Holder: a person, or a tool on behalf of one. */
#define VSCHED_HOLDER_ADMINISTRATOR 0
/** Holder: a health checker. */
#define VSCHED_HOLDER_HEALTH_CHECKER 1
/** Holder: the host of the library, by what it sees of connections. */
#define VSCHED_HOLDER_HOST 2
/**
 * Holder: the ejection of the service. VSCHED_UP in its name ends an ejection; no other state can
 * be set in its name.
 */
#define VSCHED_HOLDER_EJECTOR 3

/** Size of the text of a reason, including the NUL. */
#define VSCHED_REASON_SIZE 256

/** One hold on a server. */
typedef struct vsched_hold {
    /** VSCHED_HOLDER_ADMINISTRATOR to VSCHED_HOLDER_EJECTOR. */
    uint32_t holder;
    /** VSCHED_DRAINING or VSCHED_DOWN. */
    uint32_t state;
    /** Why, as the holder said; ends with a NUL. */
    char reason[VSCHED_REASON_SIZE];
} vsched_hold;

/**
 * Holds a server in a state, or with VSCHED_UP releases what this holder holds. Every pick that
 * begins after this call has returned obeys: all schedulers, retries and persistence pass over a
 * server that is down, and its clients, and only they, go elsewhere; they come back with it if they
 * are hashed. A draining server keeps its persistent clients. If all servers are held, picks return
 * VSCHED_NO_SERVER.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param server Id of the server.
 * @param holder VSCHED_HOLDER_ADMINISTRATOR to VSCHED_HOLDER_EJECTOR.
 * @param state VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN.
 * @param reason Why, for people.
 * @param reason_length Bytes of the reason, at most 255.
 * @param[out] result State that results from all holders, or NULL.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_E_ARGUMENT: another holder or state, or a state that the
 *   ejector does not take; VSCHED_E_LENGTH: the reason; VSCHED_E_UTF8; VSCHED_E_CAPACITY: no
 *   memory.
 */
vsched_status vsched_director_set_state(const struct vsched_director *director,
                                        struct vsched_server_id server,
                                        uint32_t holder,
                                        uint32_t state,
                                        const char *reason,
                                        size_t reason_length,
                                        uint32_t *result);

/**
 * Tells the state of a server: the most severe in which any holder holds it.
 *
 * Threads: shared. Cost: O(1).
 *
 * @param director The director.
 * @param server Id of the server.
 * @param[out] state VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN.
 * @return VSCHED_OK; VSCHED_STALE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_state(const struct vsched_director *director,
                                    struct vsched_server_id server,
                                    uint32_t *state);

/**
 * Copies who holds a server draining or down, and why. None: it is up.
 *
 * Threads: control. Cost: O(servers of the service); O(removed servers) for one that was
 * removed.
 *
 * @param director The director.
 * @param server Id of the server.
 * @param[out] array Receives the holds.
 * @param element_size sizeof(vsched_hold).
 * @param capacity Elements of the array.
 * @param[out] count Number of holds.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_holds(const struct vsched_director *director,
                                    struct vsched_server_id server,
                                    struct vsched_hold *array,
                                    size_t element_size,
                                    size_t capacity,
                                    size_t *count);

/**
 * Gives a server another weight in the config that runs; 0 drains it.
 *
 * Threads: control. Cost: O(servers of the service).
 *
 * @param director The director; after an error nothing has changed.
 * @param server Id of the server.
 * @param weight The weight.
 * @param[in,out] applied What changed, or NULL; set its struct_size before.
 * @return VSCHED_OK; VSCHED_STALE: the id is, or the server is not configured any more;
 *   VSCHED_E_INVALID: the weight; VSCHED_E_CAPACITY; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_set_weight(const struct vsched_director *director,
                                         struct vsched_server_id server,
                                         uint32_t weight,
                                         struct vsched_applied *applied);

/** @} */

/* ==== Removed servers and repair ============================================================== */

/**
 * @defgroup vsched-removed Removed servers and repair
 *
 * A removed server keeps its counts until its last connection closes, and gets them back if it is
 * added again before. A lease that is lost (a crashed plug-in, memory that was freed) stays
 * counted: its server looks busier than it is, and with an upper threshold may stay overloaded
 * forever. No reload repairs that; the functions of this group do.
 *
 * NULL: no pointer may be NULL, except `array` if `capacity` is 0, `count` of
 * vsched_director_removed_with_connections and vsched_director_forget_removed, and `former`.
 *
 * @{
 */

/** A real server that was removed and still has connections. Texts end with a NUL. */
typedef struct vsched_removed_server {
    /** Id of the server, as in its leases. */
    struct vsched_server_id id;
    /** Key of its service, which may be gone too. */
    char service[VSCHED_KEY_SIZE];
    /** Its address and port. */
    char address_text[VSCHED_KEY_SIZE];
    /** Active connections. */
    uint32_t active;
    /** Inactive connections. */
    uint32_t inactive;
} vsched_removed_server;

/**
 * Counts the removed servers that still hold memory. They have connections, or a config that a
 * worker still uses or a remembered address refers to them, or they wait for the next
 * vsched_director_tick.
 *
 * Threads: control. Cost: O(1).
 *
 * @param director The director.
 * @param[out] count Number of servers.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_director_removed_servers(const struct vsched_director *director,
                                              size_t *count);

/**
 * Copies the removed servers that still have connections, sorted by service and address.
 *
 * Threads: control. Cost: O(n log n) for n removed servers.
 *
 * @param director The director.
 * @param[out] array Receives the servers.
 * @param element_size sizeof(vsched_removed_server).
 * @param capacity Elements of the array.
 * @param[out] count Number of servers.
 * @return VSCHED_OK; VSCHED_E_BUFFER; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_removed_with_connections(const struct vsched_director *director,
                                                       struct vsched_removed_server *array,
                                                       size_t element_size,
                                                       size_t capacity,
                                                       size_t *count);

/**
 * Sets the connection counts of a server, for a host that knows the true counts. Overload and
 * schedulers follow the new counts. Leases that are still open stay valid: each close takes one
 * connection off, down to zero. Connections that open or close between your own count and this
 * call are overwritten.
 *
 * Threads: control. Cost: O(log servers); O(templates) in a persistent service.
 *
 * @param director The director.
 * @param server Id of the server.
 * @param active Active connections.
 * @param inactive Inactive connections.
 * @param[out] former Counts before the call, or NULL; its `persistent` is 0.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL: the sum is above VSCHED_MAX_CONNECTIONS.
 */
vsched_status vsched_director_set_counts(const struct vsched_director *director,
                                         struct vsched_server_id server,
                                         uint32_t active,
                                         uint32_t inactive,
                                         struct vsched_counts *former);

/**
 * Forgets the connections of all removed servers. Call it after a change if leases of removed
 * servers may be lost, or if a server that returns under the same address is to start from zero.
 * Ids of these servers and leases of their connections become stale once no worker uses a config
 * with them, at the latest at the vsched_director_tick after that. Clients whose template leads to
 * such a server are scheduled again.
 *
 * Threads: control. Cost: O(removed servers + templates).
 *
 * @param director The director.
 * @param[out] count Number of servers, or NULL.
 * @return VSCHED_OK.
 */
vsched_status vsched_director_forget_removed(const struct vsched_director *director,
                                             size_t *count);

/** @} */

/* ==== Workers ================================================================================= */

/**
 * @defgroup vsched-worker Workers
 *
 * A worker is the access of one thread to a director: picks and connection counts. Make one per
 * thread with vsched_worker_new and free it with vsched_worker_free. It sees a new config at its
 * next call; a worker that makes no calls keeps at most one old config alive.
 *
 * The functions of class "worker", here and in the next two groups, are lock-free, also while
 * configs change. They make no system call, allocate and free nothing, and read no clock.
 *
 * NULL: no pointer may be NULL, except the argument of vsched_worker_free.
 *
 * @{
 */

/**
 * Access of one thread to a director. One thread at a time uses it; it may be handed to another
 * thread. It may outlive the handle of the director. Free it with vsched_worker_free.
 */
typedef struct vsched_worker vsched_worker;

/**
 * Makes a worker.
 *
 * Threads: control.
 *
 * @param director The director.
 * @param[out] worker The new worker; free it with vsched_worker_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_new(const struct vsched_director *director,
                                struct vsched_worker **worker);

/**
 * Frees a worker. Its leases stay open: close them through another worker.
 *
 * Threads: exclusive; takes a lock of the director.
 *
 * @param worker The worker; NULL does nothing.
 */
void vsched_worker_free(struct vsched_worker *worker);

/**
 * Finds the service for a flow, in the kernel's order:
 *
 * - the firewall mark, of the family of the flow;
 * - protocol, address and port;
 * - port 21, for FTP data: TCP to port 20 or to a port from 1024. Without persistence, neither the
 *   service of port 21 nor any other takes them: the packet is not the director's;
 * - port 0, which stands for every port of a persistent service.
 *
 * Threads: worker. Cost: O(1).
 *
 * @param worker The worker.
 * @param flow The flow.
 * @param[out] service Id of the service.
 * @return VSCHED_OK; VSCHED_NO_SERVICE.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_service_for(struct vsched_worker *worker,
                                        const struct vsched_flow *flow,
                                        struct vsched_service_id *service);

/** @} */

/* ==== Picking ================================================================================= */

/**
 * @defgroup vsched-pick Picking
 *
 * Decisions only: they count no connection. Open one on the pick with vsched_worker_open_pick, or
 * do both with vsched_worker_connect. After a failed attempt, pick again and exclude the servers
 * tried so far.
 *
 * NULL: no pointer may be NULL, except `tried` if `tried_count` is 0.
 *
 * @{
 */

/**
 * Refusal: the service was deleted after its id was looked up, or the id is of another director.
 */
#define VSCHED_REFUSED_NO_SERVICE 1
/** Refusal: the flow is FTP data, which the service does not schedule. */
#define VSCHED_REFUSED_NOT_SCHEDULED 2
/** Refusal: no scheduler is bound to the service. */
#define VSCHED_REFUSED_NO_SCHEDULER 3
/** Refusal: the service has no server. */
#define VSCHED_REFUSED_NO_SERVER 4
/** Refusal: every server has weight 0. */
#define VSCHED_REFUSED_ALL_QUIESCED 5
/** Refusal: every server with a weight is held draining or down. */
#define VSCHED_REFUSED_ALL_DOWN 6
/** Refusal: every server that is left has reached its upper threshold. */
#define VSCHED_REFUSED_ALL_OVERLOADED 7
/** Refusal: every server that is left was tried. */
#define VSCHED_REFUSED_ALL_TRIED 8
/**
 * Refusal: servers are available, but the scheduler gives this flow none: sh, dh and mh
 * without fallback, ovf; or they became available and unavailable in turn during the pick.
 */
#define VSCHED_REFUSED_NOT_THIS_FLOW 9

/**
 * Picks a server of a service for a flow. Rotations advance by one step.
 *
 * A TCP service of port 21 without persistence refuses flows to other ports of its address, and
 * its rotation does not advance: these flows are FTP data, which the kernel lets pass.
 *
 * Threads: worker. Cost: the scheduler's.
 *
 * @param worker The worker.
 * @param service Id of the service.
 * @param flow The flow.
 * @param[out] pick The decision.
 * @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_pick_server(struct vsched_worker *worker,
                                        struct vsched_service_id service,
                                        const struct vsched_flow *flow,
                                        struct vsched_pick *pick);

/**
 * Picks a server that has not been tried, after an attempt has failed. rr and wrr use a separate
 * rotation for such retries, so that retries do not influence where the next request goes. A count
 * of 0 is vsched_worker_pick_server.
 *
 * Threads: worker. Cost: the scheduler's, times `tried_count` at worst.
 *
 * @param worker The worker.
 * @param service Id of the service.
 * @param flow The flow.
 * @param tried Fields `server` of the picks so far.
 * @param tried_count Number of servers tried.
 * @param[out] pick The decision.
 * @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted;
 *   VSCHED_E_LENGTH.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_pick_server_excluding(struct vsched_worker *worker,
                                                  struct vsched_service_id service,
                                                  const struct vsched_flow *flow,
                                                  const struct vsched_server_id *tried,
                                                  size_t tried_count,
                                                  struct vsched_pick *pick);

/**
 * Tells why the latest pick or connect of this worker that returned VSCHED_NO_SERVER or
 * VSCHED_NO_SERVICE found no server: the step that left none. Servers without weight drop out
 * first, then those that are held draining or down, then the overloaded ones, then those that were
 * tried.
 *
 * Threads: worker. Cost: O(1).
 *
 * @param worker The worker.
 * @return VSCHED_REFUSED_NO_SERVICE to VSCHED_REFUSED_NOT_THIS_FLOW; 0: none was refused yet, or
 *   `worker` is NULL.
 */
VSCHED_MUST_USE
uint32_t vsched_worker_refusal(const struct vsched_worker *worker);

/**
 * Describes a refusal in a few words.
 *
 * Threads: any.
 *
 * @param refusal Any number.
 * @return A static text, never NULL; do not free it.
 */
VSCHED_MUST_USE
const char *vsched_refusal_text(uint32_t refusal);

/** @} */

/* ==== Connections ============================================================================= */

/**
 * @defgroup vsched-connection Connections
 *
 * A connection counts on its server from open to close. Open one, keep its lease, update it when
 * its activity changes, and close it through any worker of the same director. TCP counts as active
 * from the first SYN to a FIN or RST and as inactive afterwards, UDP as inactive; a host that
 * knows only the begin and the end uses VSCHED_ACTIVE.
 *
 * NULL: no pointer may be NULL, except `tried` if `tried_count` is 0.
 *
 * @{
 */

/** Maximum number of connections of a server, active and inactive together. */
#define VSCHED_MAX_CONNECTIONS 33554431

/** Activity: inactive. UDP always; TCP and SCTP while closing. */
#define VSCHED_INACTIVE 1
/** Activity: active. TCP from the first SYN until a FIN or RST. */
#define VSCHED_ACTIVE 2

/**
 * Picks a server that has not been tried and opens a connection on it, in one step. TCP, and a
 * flow without protocol, opens active; UDP and SCTP open inactive, as in the kernel. Upper
 * thresholds hold exactly, also while other threads connect.
 *
 * Threads: worker. Cost: the scheduler's.
 *
 * @param worker The worker.
 * @param service Id of the service.
 * @param flow The flow.
 * @param tried Fields `server` of the picks so far.
 * @param tried_count Number of servers tried.
 * @param[out] pick The decision.
 * @param[out] lease The open connection. Its previous value is ignored; after an error it is
 *   unchanged.
 * @return VSCHED_OK; VSCHED_NO_SERVER; VSCHED_NO_SERVICE: the service was deleted;
 *   VSCHED_E_LENGTH.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_connect(struct vsched_worker *worker,
                                    struct vsched_service_id service,
                                    const struct vsched_flow *flow,
                                    const struct vsched_server_id *tried,
                                    size_t tried_count,
                                    struct vsched_pick *pick,
                                    struct vsched_lease *lease);

/**
 * Opens a connection on a server that the caller has chosen, even if the server is overloaded or
 * quiesced.
 *
 * Threads: worker. Cost: O(1).
 *
 * @param worker The worker.
 * @param server Id of the server.
 * @param activity VSCHED_ACTIVE or VSCHED_INACTIVE.
 * @param[out] lease The open connection. Its previous value is ignored; after an error it is
 *   unchanged.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL; VSCHED_E_ARGUMENT: another activity.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_open(struct vsched_worker *worker,
                                 struct vsched_server_id server,
                                 uint32_t activity,
                                 struct vsched_lease *lease);

/**
 * Opens a connection on the server of a pick. In a persistent service the client keeps its server
 * while the connection is open.
 *
 * Threads: worker. Cost: O(1).
 *
 * @param worker The worker.
 * @param pick The decision.
 * @param activity VSCHED_ACTIVE or VSCHED_INACTIVE.
 * @param[out] lease The open connection. Its previous value is ignored; after an error it is
 *   unchanged.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_FULL; VSCHED_E_ARGUMENT: another activity.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_open_pick(struct vsched_worker *worker,
                                      const struct vsched_pick *pick,
                                      uint32_t activity,
                                      struct vsched_lease *lease);

/**
 * Counts a connection as active or inactive from now on.
 *
 * Threads: worker (any worker of the director). Cost: O(1).
 *
 * @param worker The worker.
 * @param[in,out] lease The open connection.
 * @param activity VSCHED_ACTIVE or VSCHED_INACTIVE; the present one changes nothing.
 * @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here; VSCHED_E_ARGUMENT: another
 *   activity.
 */
vsched_status vsched_worker_update(struct vsched_worker *worker,
                                   struct vsched_lease *lease,
                                   uint32_t activity);

/**
 * Closes a connection, whatever was reloaded since it was opened. The lease is empty afterwards,
 * so a second close returns VSCHED_STALE and changes nothing.
 *
 * Threads: worker (any worker of the director). Cost: O(1).
 *
 * @param worker The worker.
 * @param[in,out] lease The open connection.
 * @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here, and is unchanged.
 */
vsched_status vsched_worker_close(struct vsched_worker *worker,
                                  struct vsched_lease *lease);

/** @} */

/* ==== Outcomes ================================================================================ */

/**
 * @defgroup vsched-outcome Outcomes
 *
 * How connections and requests ended, as the host saw it, counted per server. Hosts with leases
 * close by vsched_worker_close_with, others call vsched_worker_report; vsched_worker_close reports
 * nothing. What was counted survives every reload as long as the server's id is not stale, also
 * while the server is removed and still has connections. Outcomes change picks only of services
 * that eject servers: then the call that reports the last failure of a series ejects the server.
 *
 * NULL: no pointer may be NULL.
 *
 * @{
 */

/** Outcome: the server did what it should. Ends a series of consecutive failures. */
#define VSCHED_OUTCOME_DONE 1
/**
 * Outcome: the server failed. It refused the connection, reset it, timed out, or answered with an
 * error.
 */
#define VSCHED_OUTCOME_FAILED 2
/**
 * Outcome: ended for a reason that says nothing about the server, such as a client that left.
 * Neither success nor failure; a series of consecutive failures continues.
 */
#define VSCHED_OUTCOME_ABANDONED 3

/**
 * What was reported of a server. Each number is exact; reports that arrive during the call may be
 * included in some and not in others.
 */
typedef struct vsched_health {
    /** sizeof(vsched_health). */
    uint32_t struct_size;
    /** VSCHED_UP, VSCHED_DRAINING or VSCHED_DOWN, as vsched_director_state says it. */
    uint32_t state;
    /** Failures since the last connection that was done; at most 65535. */
    uint32_t consecutive_failures;
    /**
     * Average latency of connections that were done, in microseconds. 0: none was measured, or all
     * were long ago.
     *
     * The mean of the first 16; from then on each one moves it by a sixteenth of the difference.
     * In each second of vsched_director_tick without a new one it decays, by half in 10 seconds,
     * and the next one weighs more.
     */
    uint32_t latency_us;
    /** 1 while the server is ejected. */
    uint32_t ejected;
    /** 0. */
    uint32_t reserved;
    /** Connections that were done, since the server was added. */
    uint64_t done;
    /** Connections that failed, since the server was added. */
    uint64_t failed;
    /** Connections that were abandoned, since the server was added. */
    uint64_t abandoned;
    /**
     * Connections that were done in the current interval and the one before. An interval ends at
     * the first tick 10 seconds after it began or later, so these are the last 10 to 20 seconds.
     */
    uint64_t recent_done;
    /** Connections that failed in these two intervals. */
    uint64_t recent_failed;
} vsched_health;

/**
 * Closes a connection, as vsched_worker_close does, and counts how it went for its server.
 *
 * Threads: worker (any worker of the director). Cost: O(1).
 *
 * @param worker The worker.
 * @param[in,out] lease The open connection.
 * @param outcome VSCHED_OUTCOME_DONE, VSCHED_OUTCOME_FAILED or VSCHED_OUTCOME_ABANDONED.
 * @param latency_us Microseconds that the host measured, always in the same way, such as from the
 *   request to the first byte of the answer; 0: not measured. Only those of VSCHED_OUTCOME_DONE
 *   enter the average. More than 71 minutes count as 71 minutes.
 * @return VSCHED_OK; VSCHED_STALE: the lease is empty or not open here, and is unchanged;
 *   VSCHED_E_ARGUMENT: another outcome, and the connection stays open.
 */
vsched_status vsched_worker_close_with(struct vsched_worker *worker,
                                       struct vsched_lease *lease,
                                       uint32_t outcome,
                                       uint64_t latency_us);

/**
 * Counts how a connection or a request went, for hosts that have no lease, or that report each
 * request of a connection. A removed server counts as long as its id is not stale; draining, down,
 * quiesced and overloaded servers count like any other.
 *
 * Threads: worker. Cost: O(1).
 *
 * @param worker The worker.
 * @param server Id of the server.
 * @param outcome As for vsched_worker_close_with.
 * @param latency_us As for vsched_worker_close_with; 0: not measured.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_E_ARGUMENT: another outcome.
 */
vsched_status vsched_worker_report(struct vsched_worker *worker,
                                   struct vsched_server_id server,
                                   uint32_t outcome,
                                   uint64_t latency_us);

/**
 * Reads what was reported of a server, and its state.
 *
 * Threads: control. Cost: O(1).
 *
 * @param director The director.
 * @param server Id of the server.
 * @param[in,out] health What was reported; set its struct_size before.
 * @return VSCHED_OK; VSCHED_STALE; VSCHED_E_STRUCT_SIZE.
 */
VSCHED_MUST_USE
vsched_status vsched_director_health(const struct vsched_director *director,
                                     struct vsched_server_id server,
                                     struct vsched_health *health);

/** @} */

/* ==== Explanations and phases ================================================================= */

/**
 * @defgroup vsched-explain Explanations and phases
 *
 * Which server the next pick would choose and why, or why none; and where rotations start, so that
 * processes that start at the same time do not walk in step.
 *
 * NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, and `length`.
 *
 * @{
 */

/**
 * Says as JSON text which server the next pick of this flow would choose and why, or why none,
 * with what decides for each server: weights, connections, state and who holds it, load. Changes
 * nothing: no rotation advances, nothing is counted, no template is made. In a service that is
 * shared per-worker or in chunks it is what a caller without a worker would get.
 *
 * Threads: control. Cost: O(servers + persistence templates).
 *
 * @param director The director.
 * @param service Id of the service.
 * @param flow The flow.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_NO_SERVICE; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_director_explain(const struct vsched_director *director,
                                      struct vsched_service_id service,
                                      const struct vsched_flow *flow,
                                      char *buffer,
                                      size_t capacity,
                                      size_t *length);

/**
 * Moves the rotations that all workers of a director share to the start of a phase. For several
 * processes that run one config: give each director another phase, 0, 1, 2 and so on, before it
 * picks. The rotations of rr, wrr and services with rotating ties then start as far apart as they
 * can, and twos and p2c draw other random numbers, in all services, now and later added, through
 * all reloads. Phase 0, the initial one, is as in a kernel. A worker that is made later has the
 * phase of the director plus its number, from 0: processes with four workers each take 0, 4, 8
 * and so on.
 *
 * Threads: control. Cost: O(services).
 *
 * @param director The director.
 * @param phase The phase.
 * @return VSCHED_OK.
 */
vsched_status vsched_director_set_phase(const struct vsched_director *director,
                                        uint32_t phase);

/**
 * Makes a worker as vsched_worker_new does, with a phase of its own: in services that are shared
 * per-worker, its rotations start apart from those of other phases, and it draws other random
 * numbers. In other services all workers share one rotation; see vsched_director_set_phase.
 *
 * Threads: control.
 *
 * @param director The director.
 * @param phase The phase.
 * @param[out] worker The new worker; free it with vsched_worker_free.
 * @return VSCHED_OK.
 */
VSCHED_MUST_USE
vsched_status vsched_worker_new_with_phase(const struct vsched_director *director,
                                           uint32_t phase,
                                           struct vsched_worker **worker);

/** @} */

/* ==== Metrics ================================================================================= */

/**
 * @defgroup vsched-metrics Metrics
 *
 * The running state as text for Prometheus and everything that reads its format. docs/operations.md
 * says what each number means.
 *
 * NULL: no pointer may be NULL, except `buffer` if `capacity` is 0, and `length`.
 *
 * @{
 */

/** Flag: metrics of each server, too. */
#define VSCHED_METRICS_SERVERS 1
/** Flag: OpenMetrics 1.0 instead of Prometheus' text format 0.0.4. */
#define VSCHED_METRICS_OPENMETRICS 2

/**
 * Writes the running state as metrics: about 20 series per service, and with
 * VSCHED_METRICS_SERVERS about 20 per server. The content type for HTTP is "text/plain;
 * version=0.0.4; charset=utf-8", with VSCHED_METRICS_OPENMETRICS "application/openmetrics-text;
 * version=1.0.0; charset=utf-8". The text may be longer at the next call, as numbers grow: keep a
 * buffer with room to spare, and enlarge it if the status is VSCHED_E_BUFFER.
 *
 * Threads: control. Cost: O(services + servers).
 *
 * @param director The director.
 * @param flags 0, or VSCHED_METRICS_SERVERS and VSCHED_METRICS_OPENMETRICS or-ed together.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: another flag; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_director_metrics(const struct vsched_director *director,
                                      uint32_t flags,
                                      char *buffer,
                                      size_t capacity,
                                      size_t *length);

/** @} */

/* ==== Socket addresses and names ============================================================== */

/**
 * @defgroup vsched-sockaddr Socket addresses and names
 *
 * From the socket addresses of the operating system to flows, and from picks and services to
 * socket addresses. No function of this group allocates, except vsched_pick_text.
 *
 * NULL: no pointer may be NULL, except `buffer` of vsched_pick_text if `capacity` is 0, and its
 * `length`.
 *
 * @{
 */

/**
 * Fills in a flow from the socket addresses of a connection, for example those of accept or
 * recvfrom and of getsockname. IPv4-mapped IPv6 addresses, which dual-stack sockets have, count as
 * IPv4. Mark and key become 0.
 *
 * Threads: any.
 *
 * @param protocol IP protocol number, 0 to 255.
 * @param client Socket address of the client, AF_INET or AF_INET6.
 * @param client_length Bytes of the client's address.
 * @param destination Destination (virtual) address.
 * @param destination_length Bytes of the destination address.
 * @param[out] flow The flow.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: another address family, or a protocol above 255;
 *   VSCHED_E_LENGTH: too short for the family.
 */
VSCHED_MUST_USE
vsched_status vsched_flow_from_sockaddr(uint32_t protocol,
                                        const struct sockaddr *client,
                                        size_t client_length,
                                        const struct sockaddr *destination,
                                        size_t destination_length,
                                        struct vsched_flow *flow);

/**
 * Writes the address of a picked server as a socket address, for connect or sendto. A struct
 * sockaddr_storage is always large enough.
 *
 * Threads: any.
 *
 * @param pick The decision.
 * @param[out] address Receives the socket address.
 * @param capacity Bytes of the address.
 * @param[out] length Size of the socket address, 16 (IPv4) or 28 (IPv6); written also if
 *   `capacity` is smaller.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: not a valid pick; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_pick_sockaddr(const struct vsched_pick *pick,
                                   struct sockaddr *address,
                                   size_t capacity,
                                   size_t *length);

/**
 * Writes the address of a virtual service as a socket address, for bind.
 *
 * Threads: any.
 *
 * @param service The service.
 * @param[out] address Receives the socket address.
 * @param capacity Bytes of the address.
 * @param[out] length Size of the socket address, 16 (IPv4) or 28 (IPv6); written also if
 *   `capacity` is smaller.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: a firewall mark or not a valid state; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_service_sockaddr(const struct vsched_service_state *service,
                                      struct sockaddr *address,
                                      size_t capacity,
                                      size_t *length);

/**
 * Prints the address of a picked server, such as "10.0.1.1:80" or "[2001:db8::1]:80", for logs: at
 * most 47 bytes and a NUL.
 *
 * Threads: any.
 *
 * @param pick The decision.
 * @param[out] buffer Receives the text and a NUL.
 * @param capacity Bytes of the buffer.
 * @param[out] length Length of the text in bytes.
 * @return VSCHED_OK; VSCHED_E_ARGUMENT: not a valid pick; VSCHED_E_BUFFER.
 */
VSCHED_MUST_USE
vsched_status vsched_pick_text(const struct vsched_pick *pick,
                               char *buffer,
                               size_t capacity,
                               size_t *length);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* VSCHED_H */
