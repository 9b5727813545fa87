
/*
 * What a worker sees of the blocks, as text, JSON or for Prometheus.
 */


#include <ngx_vsched.h>


/* Bytes per server and form, without what is escaped. */
#define NGX_VSCHED_LINE  640


/* A snapshot of an upstream. */
typedef struct {
    ngx_vsched_upstream_t     *upstream;
    size_t                     n;
    vsched_server_state       *servers;
    vsched_health             *health;
    /* Escaped for JSON and for labels. */
    ngx_str_t                  name;
} ngx_vsched_snapshot_t;


typedef struct {
    char                      *name;
    char                      *type;
    char                      *help;
    uint64_t                 (*value)(vsched_server_state *s, vsched_health *h);
    /* Values are millionths. */
    ngx_uint_t                 micro;
} ngx_vsched_metric_t;


static ngx_int_t ngx_vsched_snapshot(ngx_pool_t *pool,
    ngx_vsched_upstream_t *u, ngx_vsched_snapshot_t *s);
static ngx_chain_t *ngx_vsched_chain(ngx_pool_t *pool, size_t size);
static u_char *ngx_vsched_text(u_char *p, ngx_vsched_snapshot_t *s);
static u_char *ngx_vsched_json(u_char *p, ngx_vsched_snapshot_t *s);
static u_char *ngx_vsched_metric(u_char *p, ngx_vsched_snapshot_t *s,
    ngx_vsched_metric_t *m);


char  *ngx_vsched_states[] = { "up", "draining", "down" };


#define ngx_vsched_value(name, expression)                                    \
                                                                              \
    static uint64_t                                                           \
    ngx_vsched_##name(vsched_server_state *s, vsched_health *h)               \
    {                                                                         \
        return expression;                                                    \
    }


ngx_vsched_value(active, s->active)
ngx_vsched_value(inactive, s->inactive)
ngx_vsched_value(weight, s->weight)
ngx_vsched_value(limit, s->upper_threshold)
ngx_vsched_value(overloaded, s->overloaded)
ngx_vsched_value(state, s->state)
ngx_vsched_value(ejected, h->ejected)
ngx_vsched_value(done, h->done)
ngx_vsched_value(failed, h->failed)
ngx_vsched_value(abandoned, h->abandoned)
ngx_vsched_value(failures, h->consecutive_failures)
ngx_vsched_value(latency, h->latency_us)


/* Only what the block has: the same whichever worker answers. */

static ngx_vsched_metric_t  ngx_vsched_metrics[] = {
    { "active_connections", "gauge", "Active connections",
      ngx_vsched_active, 0 },
    { "inactive_connections", "gauge", "Inactive connections (UDP)",
      ngx_vsched_inactive, 0 },
    { "weight", "gauge", "Weight in this worker's config",
      ngx_vsched_weight, 0 },
    { "upper_threshold", "gauge", "Most connections, 0 for any number",
      ngx_vsched_limit, 0 },
    { "overloaded", "gauge", "1 while the threshold keeps connections away",
      ngx_vsched_overloaded, 0 },
    { "state", "gauge", "0 up, 1 draining, 2 down",
      ngx_vsched_state, 0 },
    { "ejected", "gauge", "1 while ejected for failures",
      ngx_vsched_ejected, 0 },
    { "done_total", "counter", "Tries that ended well",
      ngx_vsched_done, 0 },
    { "failed_total", "counter", "Tries that failed",
      ngx_vsched_failed, 0 },
    { "abandoned_total", "counter", "Tries whose client left",
      ngx_vsched_abandoned, 0 },
    { "consecutive_failures", "gauge", "Failures since the last success",
      ngx_vsched_failures, 0 },
    { "latency_seconds", "gauge", "Average time to the first byte",
      ngx_vsched_latency, 1 },
    { NULL, NULL, NULL, NULL, 0 }
};


/* An empty module or name stands for all. */

ngx_chain_t *
ngx_vsched_status(ngx_pool_t *pool, ngx_uint_t format, ngx_str_t *module,
    ngx_str_t *name)
{
    size_t                   servers;
    ngx_buf_t               *b;
    ngx_uint_t               i, n;
    ngx_array_t             *upstreams;
    ngx_chain_t             *out, **last;
    ngx_vsched_metric_t     *m;
    ngx_vsched_snapshot_t   *s;
    ngx_vsched_upstream_t  **up;

    upstreams = ngx_vsched_upstreams((ngx_cycle_t *) ngx_cycle);
    up = upstreams->elts;

    s = ngx_pcalloc(pool, (upstreams->nelts + 1) * sizeof(*s));
    if (s == NULL) {
        return NULL;
    }

    n = 0;
    servers = 1;

    for (i = 0; i < upstreams->nelts; i++) {
        if ((module->len && !ngx_vsched_equal(module, &up[i]->module))
            || (name->len && !ngx_vsched_equal(name, &up[i]->name)))
        {
            continue;
        }

        if (ngx_vsched_snapshot(pool, up[i], &s[n]) != NGX_OK) {
            return NULL;
        }

        servers += s[n++].n + 1;
    }

    last = &out;

    if (format == NGX_VSCHED_PROMETHEUS) {
        for (m = ngx_vsched_metrics; m->name; m++) {
            *last = ngx_vsched_chain(pool, servers * NGX_VSCHED_LINE);
            if (*last == NULL) {
                return NULL;
            }

            b = (*last)->buf;
            last = &(*last)->next;

            b->last = ngx_sprintf(b->last, "# HELP vsched_server_%s %s.\n"
                                  "# TYPE vsched_server_%s %s\n",
                                  m->name, m->help, m->name, m->type);

            for (i = 0; i < n; i++) {
                b->last = ngx_vsched_metric(b->last, &s[i], m);
            }
        }

        return out;
    }

    *last = ngx_vsched_chain(pool, (servers + 1) * NGX_VSCHED_LINE);
    if (*last == NULL) {
        return NULL;
    }

    b = (*last)->buf;

    if (format == NGX_VSCHED_JSON) {
        b->last = ngx_sprintf(b->last, "{\"upstreams\":[");

        for (i = 0; i < n; i++) {
            if (i) {
                *b->last++ = ',';
            }

            b->last = ngx_vsched_json(b->last, &s[i]);
        }

        b->last = ngx_sprintf(b->last, "]}\n");

        return out;
    }

    for (i = 0; i < n; i++) {
        b->last = ngx_vsched_text(b->last, &s[i]);
    }

    return out;
}


static ngx_int_t
ngx_vsched_snapshot(ngx_pool_t *pool, ngx_vsched_upstream_t *u,
    ngx_vsched_snapshot_t *s)
{
    size_t         i;
    uintptr_t      escape;
    vsched_status  status;

    s->upstream = u;

    escape = ngx_escape_json(NULL, u->name.data, u->name.len);
    s->name.len = u->name.len + escape;
    s->name.data = ngx_pnalloc(pool, s->name.len);
    if (s->name.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_json(s->name.data, u->name.data, u->name.len);

    if (u->director == NULL) {
        return NGX_OK;
    }

    s->servers = ngx_pcalloc(pool, u->nservers * sizeof(vsched_server_state));
    s->health = ngx_pcalloc(pool, u->nservers * sizeof(vsched_health));
    if (s->servers == NULL || s->health == NULL) {
        return NGX_ERROR;
    }

    status = vsched_director_servers(u->director, u->service, s->servers,
                                     sizeof(vsched_server_state), u->nservers,
                                     &s->n);
    if (status != VSCHED_OK) {
        s->n = 0;
    }

    for (i = 0; i < s->n; i++) {
        s->health[i].struct_size = sizeof(vsched_health);
        /* A server that has just gone has the health of zeros. */
        (void) !vsched_director_health(u->director, s->servers[i].id,
                                       &s->health[i]);
    }

    return NGX_OK;
}


static ngx_chain_t *
ngx_vsched_chain(ngx_pool_t *pool, size_t size)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->next = NULL;
    cl->buf = ngx_create_temp_buf(pool, size);

    return cl->buf ? cl : NULL;
}


static u_char *
ngx_vsched_text(u_char *p, ngx_vsched_snapshot_t *s)
{
    size_t                i;
    vsched_health        *h;
    vsched_server_state  *v;

    p = ngx_sprintf(p, "upstream %V (%V), service %V%s\n"
                    "  server state weight active inactive limit "
                    "done failed abandoned latency_us\n",
                    &s->name, &s->upstream->module, &s->upstream->key,
                    s->upstream->director ? "" : ", NOT JOINED");

    for (i = 0; i < s->n; i++) {
        v = &s->servers[i];
        h = &s->health[i];

        p = ngx_sprintf(p, "  %s %s%s%s %uD %uD %uD %uD %uL %uL %uL %uD\n",
                        v->address_text, ngx_vsched_states[v->state % 3],
                        v->overloaded ? ",overloaded" : "",
                        h->ejected ? ",ejected" : "",
                        v->weight, v->active, v->inactive, v->upper_threshold,
                        h->done, h->failed, h->abandoned, h->latency_us);
    }

    return p;
}


static u_char *
ngx_vsched_json(u_char *p, ngx_vsched_snapshot_t *s)
{
    size_t                i;
    vsched_health        *h;
    vsched_server_state  *v;

    p = ngx_sprintf(p, "{\"name\":\"%V\",\"module\":\"%V\",\"service\":\"%V\","
                    "\"joined\":%s,\"servers\":[",
                    &s->name, &s->upstream->module, &s->upstream->key,
                    s->upstream->director ? "true" : "false");

    for (i = 0; i < s->n; i++) {
        v = &s->servers[i];
        h = &s->health[i];

        p = ngx_sprintf(p, "%s{\"address\":\"%s\",\"state\":\"%s\","
                        "\"weight\":%uD,\"active\":%uD,\"inactive\":%uD,"
                        "\"upper_threshold\":%uD,\"overloaded\":%s,"
                        "\"ejected\":%s,\"done\":%uL,\"failed\":%uL,"
                        "\"abandoned\":%uL,\"consecutive_failures\":%uD,"
                        "\"latency_us\":%uD}",
                        i ? "," : "", v->address_text,
                        ngx_vsched_states[v->state % 3],
                        v->weight, v->active, v->inactive, v->upper_threshold,
                        v->overloaded ? "true" : "false",
                        h->ejected ? "true" : "false", h->done, h->failed,
                        h->abandoned, h->consecutive_failures, h->latency_us);
    }

    return ngx_sprintf(p, "]}");
}


static u_char *
ngx_vsched_metric(u_char *p, ngx_vsched_snapshot_t *s, ngx_vsched_metric_t *m)
{
    size_t    i;
    uint64_t  value;

    for (i = 0; i < s->n; i++) {
        value = m->value(&s->servers[i], &s->health[i]);

        p = ngx_sprintf(p, "vsched_server_%s{module=\"%V\",upstream=\"%V\","
                        "server=\"%s\"} ",
                        m->name, &s->upstream->module, &s->name,
                        s->servers[i].address_text);

        if (m->micro) {
            p = ngx_sprintf(p, "%uL.%06uL\n", value / 1000000,
                            value % 1000000);
        } else {
            p = ngx_sprintf(p, "%uL\n", value);
        }
    }

    return p;
}
