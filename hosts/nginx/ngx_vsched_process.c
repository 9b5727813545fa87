
/*
 * Blocks in a worker: joins them, leaves them, and gives back what workers
 * held that were killed.
 */


#include <ngx_vsched.h>
#include <ngx_event.h>


static void ngx_vsched_join(ngx_vsched_upstream_t *u, ngx_log_t *log);
static void ngx_vsched_leave(ngx_vsched_upstream_t *u);
static void ngx_vsched_tick(ngx_event_t *ev);
static void ngx_vsched_find_dead(ngx_vsched_upstream_t *u, ngx_log_t *log);
static ngx_int_t ngx_vsched_reclaim(ngx_vsched_upstream_t *u, ngx_uint_t slot,
    ngx_log_t *log);


#define NGX_VSCHED_TICK  1000


static ngx_event_t       ngx_vsched_timer;
static ngx_connection_t  ngx_vsched_timer_connection;


ngx_int_t
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


void
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

        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "vsched upstream \"%V\": plain round robin in this "
                      "worker until it can join the block: %s",
                      &u->name, ngx_vsched_config_error(u, status));
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
    ngx_log_t               *log;
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    ngx_vsched_upstream_t  **up;

    log = ngx_cycle->log;
    upstreams = ngx_vsched_upstreams((ngx_cycle_t *) ngx_cycle);
    up = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {
        ngx_vsched_find_dead(up[i], log);

        if (up[i]->worker == NULL) {
            ngx_vsched_join(up[i], log);

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
