
/*
 * vsched in nginx: what the http and the stream module share.  Only the files
 * that include this header know the C ABI of vsched; no file that implements
 * it knows http or stream.
 *
 * An upstream has one block of memory, in which the workers share connection
 * counts, states of servers and rotations.  The master makes it and reads the
 * config; each worker has a director on it.
 */


#ifndef _NGX_VSCHED_H_INCLUDED_
#define _NGX_VSCHED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <vsched.h>


/* Servers for which a block has room, unless "room=" says otherwise. */
#define NGX_VSCHED_ROOM    448
/* Directors at a time: the master's, and those of workers of all generations. */
#define NGX_VSCHED_OWNERS  64

#define NGX_VSCHED_TEXT        0
#define NGX_VSCHED_JSON        1
#define NGX_VSCHED_PROMETHEUS  2


/* A "server" line, or a server of the file. */
typedef struct {
    struct sockaddr           *sockaddr;
    socklen_t                  socklen;
    ngx_str_t                  name;
    ngx_uint_t                 weight;
    ngx_uint_t                 max_conns;
    unsigned                   down:1;
    unsigned                   backup:1;
} ngx_vsched_server_t;


/* In the zone, for all workers of a master. */
typedef struct {
    /* The process that has joined the block from each slot of the master. */
    ngx_atomic_t               pids[NGX_MAX_PROCESSES];
} ngx_vsched_owners_t;


typedef struct {
    /* "http" or "stream", and the name of the upstream block. */
    ngx_str_t                  module;
    ngx_str_t                  name;

    /* Arguments of the directive. */
    ngx_str_t                  file;
    ngx_str_t                  key;
    ngx_str_t                  scheduler;
    ngx_str_t                  options;
    ngx_str_t                  path;
    ngx_uint_t                 room;

    /* Made by the master, inherited by workers. */
    vsched_config             *config;
    vsched_block              *block;
    vsched_block_limits        limits;
    ngx_shm_zone_t            *zone;
    ngx_vsched_owners_t       *owners;
    ngx_uint_t                 nservers;
    /* The master's own; workers have a copy of the pointer and leave it. */
    vsched_director           *master;

    /* Of a worker; NULL until it has joined the block. */
    vsched_director           *director;
    vsched_worker             *worker;
    vsched_service_id          service;
    /* The virtual service as destination; the client is added per request. */
    vsched_flow                flow;

    unsigned                   join_failed:1;
} ngx_vsched_upstream_t;


/* What a request keeps from try to try. */
typedef struct {
    ngx_vsched_upstream_t     *upstream;
    ngx_pool_t                *pool;
    vsched_flow                flow;
    vsched_lease               lease;
    vsched_server_id           current;
    vsched_server_id          *tried;
    size_t                     ntried;
    unsigned                   open:1;
} ngx_vsched_tries_t;


/* Configuration, in the master. */

ngx_vsched_upstream_t *ngx_vsched_directive(ngx_conf_t *cf, char *module,
    ngx_str_t *name);
ngx_vsched_server_t *ngx_vsched_read_file(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u, ngx_uint_t *n);
ngx_int_t ngx_vsched_describe(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    ngx_vsched_server_t *servers, ngx_uint_t n);
ngx_int_t ngx_vsched_add_zone(ngx_conf_t *cf, ngx_vsched_upstream_t *u);
ngx_array_t *ngx_vsched_upstreams(ngx_cycle_t *cycle);
void ngx_vsched_conf_failed(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    vsched_status status);
const char *ngx_vsched_config_error(ngx_vsched_upstream_t *u,
    vsched_status status);
void ngx_vsched_block_failed(ngx_vsched_upstream_t *u, ngx_log_t *log,
    vsched_status status);

/* A worker's life. */

ngx_int_t ngx_vsched_init_process(ngx_cycle_t *cycle);
void ngx_vsched_exit_process(ngx_cycle_t *cycle);

/* Requests, in a worker. */

ngx_int_t ngx_vsched_start(ngx_vsched_upstream_t *u, ngx_vsched_tries_t *t,
    ngx_pool_t *pool, ngx_uint_t protocol, struct sockaddr *client,
    socklen_t socklen);
ngx_int_t ngx_vsched_get(ngx_vsched_tries_t *t, ngx_log_t *log,
    ngx_uint_t *server);
void ngx_vsched_free(ngx_vsched_tries_t *t, ngx_uint_t outcome,
    ngx_msec_t latency, ngx_uint_t exclude);

/* Status and control, in a worker. */

ngx_chain_t *ngx_vsched_status(ngx_pool_t *pool, ngx_uint_t format,
    ngx_str_t *module, ngx_str_t *name);
ngx_int_t ngx_vsched_set_state(ngx_vsched_upstream_t *u, ngx_str_t *server,
    ngx_str_t *state, ngx_str_t *reason, ngx_str_t *answer);
ngx_int_t ngx_vsched_set_weight(ngx_vsched_upstream_t *u, ngx_str_t *server,
    ngx_str_t *weight, ngx_str_t *answer);

#define ngx_vsched_equal(s, t)                                                \
    ((s)->len == (t)->len && ngx_strncmp((s)->data, (t)->data, (s)->len) == 0)


extern ngx_module_t  ngx_vsched_module;
extern char         *ngx_vsched_states[];


#endif /* _NGX_VSCHED_H_INCLUDED_ */
