
/*
 * Blocks, directors and tries: from the zone in the master to a try of a
 * request in a worker.
 */


#include <ngx_vsched.h>
#include <ngx_event.h>


static void *ngx_vsched_create_conf(ngx_cycle_t *cycle);
static ngx_int_t ngx_vsched_init_zone(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_vsched_rehearse(ngx_vsched_upstream_t *u, ngx_log_t *log);
static ngx_int_t ngx_vsched_init_process(ngx_cycle_t *cycle);
static void ngx_vsched_exit_process(ngx_cycle_t *cycle);
static void ngx_vsched_join(ngx_vsched_upstream_t *u, ngx_log_t *log);
static void ngx_vsched_leave(ngx_vsched_upstream_t *u);
static void ngx_vsched_tick(ngx_event_t *ev);
static void ngx_vsched_find_dead(ngx_vsched_upstream_t *u, ngx_log_t *log);
static ngx_int_t ngx_vsched_reclaim(ngx_vsched_upstream_t *u, ngx_uint_t slot,
    ngx_log_t *log);
static void ngx_vsched_block_failed(ngx_vsched_upstream_t *u, ngx_log_t *log,
    vsched_status status);


#define NGX_VSCHED_TICK  1000


static ngx_core_module_t  ngx_vsched_module_ctx = {
    ngx_string("vsched"),
    ngx_vsched_create_conf,
    NULL
};


ngx_module_t  ngx_vsched_module = {
    NGX_MODULE_V1,
    &ngx_vsched_module_ctx,                /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_vsched_init_process,               /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_vsched_exit_process,               /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_event_t       ngx_vsched_timer;
static ngx_connection_t  ngx_vsched_timer_connection;


static void *
ngx_vsched_create_conf(ngx_cycle_t *cycle)
{
    return ngx_array_create(cycle->pool, 4, sizeof(ngx_vsched_upstream_t *));
}


ngx_array_t *
ngx_vsched_upstreams(ngx_cycle_t *cycle)
{
    return (ngx_array_t *) ngx_get_conf(cycle->conf_ctx, ngx_vsched_module);
}


/* The config of the upstream is complete: memory for the block. */

ngx_int_t
ngx_vsched_add_zone(ngx_conf_t *cf, ngx_vsched_upstream_t *u)
{
    size_t                   size;
    ngx_str_t                name;
    vsched_status            status;
    ngx_vsched_upstream_t  **up;

    u->limits.struct_size = sizeof(vsched_block_limits);
    u->limits.servers = u->room;
    u->limits.services = 1;
    u->limits.owners = NGX_VSCHED_OWNERS;

    status = vsched_block_size(u->block, &u->limits, &size);
    if (status != VSCHED_OK) {
        ngx_vsched_block_failed(u, cf->log, status);
        return NGX_ERROR;
    }

    if (u->path.len) {
        size = 0;
    }

    /* Pages of the slab allocator, and its own. */

    size += sizeof(ngx_vsched_owners_t);
    size += size / 64 + 16 * ngx_pagesize;

    /* The room is part of the name: a block of another size is another one. */

    name.data = ngx_pnalloc(cf->pool, sizeof("vsched:::") + NGX_INT_T_LEN
                                      + u->module.len + u->name.len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    name.len = ngx_sprintf(name.data, "vsched:%V:%V:%ui", &u->module, &u->name,
                           u->room)
               - name.data;

    u->zone = ngx_shared_memory_add(cf, &name, size, &ngx_vsched_module);
    up = ngx_array_push(ngx_vsched_upstreams(cf->cycle));
    if (u->zone == NULL || up == NULL) {
        return NGX_ERROR;
    }

    /* Reused by reloads: old and new workers are on one block. */

    u->zone->noreuse = 0;
    u->zone->init = ngx_vsched_init_zone;
    u->zone->data = u;

    *up = u;

    return NGX_OK;
}


/* In the master, before it forks workers. */

static ngx_int_t
ngx_vsched_init_zone(ngx_shm_zone_t *zone, void *data)
{
    size_t                  size;
    ngx_slab_pool_t        *shpool;
    vsched_status           status;
    ngx_vsched_upstream_t  *u;

    u = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    status = vsched_block_size(u->block, &u->limits, &size);
    if (status != VSCHED_OK) {
        goto failed;
    }

    if (shpool->data == NULL) {
        shpool->data = ngx_slab_calloc(shpool, sizeof(ngx_vsched_owners_t)
                                               + (u->path.len ? 0 : size));
        if (shpool->data == NULL) {
            return NGX_ERROR;
        }
    }

    u->owners = shpool->data;

    if (u->path.len) {
        status = vsched_block_named(u->block, (char *) u->path.data,
                                    u->path.len, &u->limits);
    } else {
        status = vsched_block_format_or_attach(u->block, u->owners + 1, size,
                                               &u->limits);
    }

    if (status == VSCHED_OK) {
        return ngx_vsched_rehearse(u, zone->shm.log);
    }

failed:

    ngx_vsched_block_failed(u, zone->shm.log, status);

    return NGX_ERROR;
}


/*
 * Runs the config on another block, so that "nginx -t" and a reload refuse
 * what workers could not run, and nothing has changed then.
 */

static ngx_int_t
ngx_vsched_rehearse(ngx_vsched_upstream_t *u, ngx_log_t *log)
{
    char              text[NGX_MAX_CONF_ERRSTR];
    vsched_block     *block;
    vsched_status     status;
    vsched_director  *director;

    if (vsched_block_new(&block) != VSCHED_OK) {
        return NGX_ERROR;
    }

    status = vsched_block_anonymous(block, &u->limits);

    if (status == VSCHED_OK) {
        status = vsched_director_new_in_block(u->config, block, &director);
    }

    vsched_block_free(block);

    if (status == VSCHED_OK) {
        vsched_director_free(director);
        return NGX_OK;
    }

    text[0] = '\0';
    (void) vsched_config_error(u->config, text, sizeof(text), NULL);
    ngx_log_error(NGX_LOG_EMERG, log, 0, "vsched upstream \"%V\": %s: %s",
                  &u->name, vsched_status_text(status), text);

    return NGX_ERROR;
}


static ngx_int_t
ngx_vsched_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    ngx_vsched_upstream_t  **up;

    /* Not the cache manager. */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    upstreams = ngx_vsched_upstreams(cycle);
    up = upstreams->elts;

    if (upstreams->nelts == 0) {
        return NGX_OK;
    }

    for (i = 0; i < upstreams->nelts; i++) {
        ngx_vsched_join(up[i], cycle->log);
    }

    ngx_vsched_timer_connection.fd = (ngx_socket_t) -1;
    ngx_vsched_timer.data = &ngx_vsched_timer_connection;
    ngx_vsched_timer.handler = ngx_vsched_tick;
    ngx_vsched_timer.log = cycle->log;
    /* A worker that shuts down does not wait for it. */
    ngx_vsched_timer.cancelable = 1;

    ngx_add_timer(&ngx_vsched_timer, NGX_VSCHED_TICK);

    return NGX_OK;
}


static void
ngx_vsched_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    ngx_vsched_upstream_t  **up;

    upstreams = ngx_vsched_upstreams(cycle);
    up = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {
        ngx_vsched_leave(up[i]);
    }
}


static void
ngx_vsched_join(ngx_vsched_upstream_t *u, ngx_log_t *log)
{
    char           text[NGX_MAX_CONF_ERRSTR];
    vsched_status  status;

    /* The worker whose slot this is now has ended. */

    if (ngx_vsched_reclaim(u, ngx_process_slot, log) != NGX_OK) {
        status = VSCHED_E_REFUSED;
        goto failed;
    }

    u->owners->pids[ngx_process_slot] = ngx_pid;

    status = vsched_director_new_in_block(u->config, u->block, &u->director);

    if (status == VSCHED_OK) {
        status = vsched_director_service(u->director, (char *) u->key.data,
                                         u->key.len, &u->service);
    }

    if (status == VSCHED_OK) {
        status = vsched_worker_new(u->director, &u->worker);
    }

    if (status == VSCHED_OK) {
        u->join_failed = 0;
        return;
    }

    ngx_vsched_leave(u);

failed:

    /* Once: this is tried again every second. */

    if (!u->join_failed) {
        u->join_failed = 1;

        text[0] = '\0';
        (void) vsched_config_error(u->config, text, sizeof(text), NULL);
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "vsched upstream \"%V\": plain round robin in this "
                      "worker until it can join the block: %s: %s",
                      &u->name, vsched_status_text(status), text);
    }
}


/* What is still open is given back. */

static void
ngx_vsched_leave(ngx_vsched_upstream_t *u)
{
    vsched_worker_free(u->worker);
    vsched_director_free(u->director);

    u->worker = NULL;
    u->director = NULL;

    if (u->owners && u->owners->pids[ngx_process_slot]
                     == (ngx_atomic_uint_t) ngx_pid)
    {
        u->owners->pids[ngx_process_slot] = 0;
    }
}


static void
ngx_vsched_tick(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    ngx_vsched_upstream_t  **up;

    upstreams = ngx_vsched_upstreams((ngx_cycle_t *) ngx_cycle);
    up = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {
        ngx_vsched_find_dead(up[i], ev->log);

        if (up[i]->worker == NULL) {
            ngx_vsched_join(up[i], ev->log);

        } else {
            (void) vsched_director_tick(up[i]->director, ngx_current_msec);
        }
    }

    ngx_add_timer(ev, NGX_VSCHED_TICK);
}


/*
 * A worker that was killed has run no code.  Most often the master puts its
 * successor into the same slot, but not one of an old generation.  Each worker
 * watches the next one, so that n workers make n system calls.
 */

static void
ngx_vsched_find_dead(ngx_vsched_upstream_t *u, ngx_log_t *log)
{
    ngx_pid_t   pid;
    ngx_uint_t  i, slot;

    for (i = 1; i < NGX_MAX_PROCESSES; i++) {
        slot = (ngx_process_slot + i) % NGX_MAX_PROCESSES;
        pid = (ngx_pid_t) u->owners->pids[slot];

        if (pid == 0) {
            continue;
        }

        if (kill(pid, 0) == 0 || ngx_errno != ESRCH) {
            return;
        }

        (void) ngx_vsched_reclaim(u, slot, log);
    }
}


/* Gives back what the process held that joined from this slot, and has ended. */

static ngx_int_t
ngx_vsched_reclaim(ngx_vsched_upstream_t *u, ngx_uint_t slot, ngx_log_t *log)
{
    uint32_t           left;
    ngx_uint_t         i;
    vsched_status      status;
    ngx_atomic_uint_t  pid;

    pid = u->owners->pids[slot];

    if (pid == 0) {
        return NGX_OK;
    }

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        if (i != slot && u->owners->pids[i] == pid) {
            /* The system has given the number to another worker. */
            return NGX_OK;
        }
    }

    status = vsched_block_reclaim_process(u->block, pid, &left);

    if (status != VSCHED_OK) {
        ngx_vsched_block_failed(u, log, status);
        return NGX_ERROR;
    }

    if (left) {
        /* Again in a second. */
        return NGX_AGAIN;
    }

    /* False if another worker has done it. */

    if (ngx_atomic_cmp_set(&u->owners->pids[slot], pid, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "vsched upstream \"%V\": gave back what process %uA held",
                      &u->name, pid);
    }

    return NGX_OK;
}


static void
ngx_vsched_block_failed(ngx_vsched_upstream_t *u, ngx_log_t *log,
    vsched_status status)
{
    char  text[NGX_MAX_CONF_ERRSTR];

    text[0] = '\0';
    (void) vsched_block_error(u->block, text, sizeof(text), NULL);

    ngx_log_error(NGX_LOG_EMERG, log, 0, "vsched upstream \"%V\": %s: %s",
                  &u->name, vsched_status_text(status), text);
}
