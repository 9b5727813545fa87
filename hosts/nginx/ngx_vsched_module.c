
/*
 * The blocks of all upstreams, in the master process.
 */


#include <ngx_vsched.h>


static void *ngx_vsched_create_conf(ngx_cycle_t *cycle);
static ngx_int_t ngx_vsched_init_zone(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_vsched_rehearse(ngx_vsched_upstream_t *u, ngx_log_t *log);
static ngx_int_t ngx_vsched_init_module(ngx_cycle_t *cycle);
static void ngx_vsched_exit_master(ngx_cycle_t *cycle);


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
    ngx_vsched_init_module,                /* init module */
    ngx_vsched_init_process,               /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_vsched_exit_process,               /* exit process */
    ngx_vsched_exit_master,                /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Those whose blocks the master is on. */

static ngx_array_t  *ngx_vsched_master_upstreams;


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

    ngx_log_error(NGX_LOG_EMERG, log, 0, "vsched upstream \"%V\": %s",
                  &u->name, ngx_vsched_config_error(u, status));

    return NGX_ERROR;
}


/*
 * The master is on each block, too: with the last director on it a block
 * forgets states, outcomes and rotations, and between two generations of
 * workers, or when the only one is killed, there may be none.
 */

static ngx_int_t
ngx_vsched_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    vsched_status            status;
    ngx_core_conf_t         *ccf;
    ngx_vsched_upstream_t  **up;

    if (ngx_test_config) {
        return NGX_OK;
    }

    upstreams = ngx_vsched_upstreams(cycle);
    up = upstreams->elts;

    for (i = 0; i < upstreams->nelts; i++) {
        status = vsched_director_new_in_block(up[i]->config, up[i]->block,
                                              &up[i]->master);
        if (status != VSCHED_OK) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                          "vsched upstream \"%V\": the master: %s",
                          &up[i]->name, ngx_vsched_config_error(up[i], status));
        }
    }

    /* The zones of the old cycle are still there, and now not needed. */

    ngx_vsched_exit_master(NULL);

    ngx_vsched_master_upstreams = upstreams;

    /* A reload has twice as many workers for a while. */

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (upstreams->nelts && 2 * ccf->worker_processes >= NGX_VSCHED_OWNERS) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "vsched: %i workers: new ones use plain round robin "
                      "until old ones have ended, as a block has room for %d",
                      ccf->worker_processes, NGX_VSCHED_OWNERS - 1);
    }

    return NGX_OK;
}


static void
ngx_vsched_exit_master(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_vsched_upstream_t  **up;

    if (ngx_vsched_master_upstreams == NULL) {
        return;
    }

    up = ngx_vsched_master_upstreams->elts;

    for (i = 0; i < ngx_vsched_master_upstreams->nelts; i++) {
        vsched_director_free(up[i]->master);
        up[i]->master = NULL;
    }

    ngx_vsched_master_upstreams = NULL;
}


void
ngx_vsched_block_failed(ngx_vsched_upstream_t *u, ngx_log_t *log,
    vsched_status status)
{
    char  text[NGX_MAX_CONF_ERRSTR];

    text[0] = '\0';
    (void) vsched_block_error(u->block, text, sizeof(text), NULL);

    ngx_log_error(NGX_LOG_EMERG, log, 0, "vsched upstream \"%V\": %s",
                  &u->name, text[0] ? text : vsched_status_text(status));
}
