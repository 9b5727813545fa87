
/*
 * vsched as the load balancing method of http upstreams.
 */


#include <ngx_vsched.h>
#include <ngx_http.h>


typedef struct {
    ngx_vsched_upstream_t          *upstream;
    /* In the order of the servers of ngx_vsched_upstream_t. */
    ngx_http_upstream_rr_peer_t   **peers;
} ngx_http_vsched_srv_conf_t;


typedef struct {
    /* First: nginx's functions for SSL sessions get this pointer. */
    ngx_http_upstream_rr_peer_data_t   rrp;
    ngx_http_vsched_srv_conf_t        *conf;
    ngx_http_request_t                *request;
    ngx_vsched_tries_t                 tries;
} ngx_http_vsched_peer_data_t;


static void *ngx_http_vsched_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_vsched(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_vsched_add_servers(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us, ngx_vsched_upstream_t *u);
static ngx_int_t ngx_http_vsched_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_vsched_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_vsched_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_vsched_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static ngx_uint_t ngx_http_vsched_outcome(ngx_http_request_t *r,
    ngx_peer_connection_t *pc, ngx_uint_t state);


static ngx_command_t  ngx_http_vsched_commands[] = {

    { ngx_string("vsched"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_vsched,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_vsched_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_vsched_create_srv_conf,       /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_vsched_module = {
    NGX_MODULE_V1,
    &ngx_http_vsched_module_ctx,           /* module context */
    ngx_http_vsched_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_vsched_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_vsched_srv_conf_t));
}


static char *
ngx_http_vsched(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_vsched_srv_conf_t    *vcf = conf;
    ngx_http_upstream_srv_conf_t  *us;

    if (vcf->upstream) {
        return "is duplicate";
    }

    us = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (us->peer.init_upstream) {
        return "must come before \"keepalive\" and without another method";
    }

    /* Parameters of "server" before this line would not be checked. */

    if (us->servers->nelts) {
        return "must come before \"server\"";
    }

    vcf->upstream = ngx_vsched_directive(cf, "http", &us->host);

    if (vcf->upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    us->peer.init_upstream = ngx_http_vsched_init;
    us->flags = NGX_HTTP_UPSTREAM_CREATE
                |NGX_HTTP_UPSTREAM_WEIGHT
                |NGX_HTTP_UPSTREAM_MAX_CONNS
                |NGX_HTTP_UPSTREAM_DOWN
                |NGX_HTTP_UPSTREAM_BACKUP;

    if (vcf->upstream->file.len) {
        return ngx_http_vsched_add_servers(cf, us, vcf->upstream);
    }

    return NGX_CONF_OK;
}


/* The servers of the file as if they stood here. */

static char *
ngx_http_vsched_add_servers(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us,
    ngx_vsched_upstream_t *u)
{
    ngx_uint_t                   i, n;
    ngx_addr_t                  *addr;
    ngx_vsched_server_t         *servers;
    ngx_http_upstream_server_t  *server;

    servers = ngx_vsched_read_file(cf, u, &n);
    if (servers == NULL) {
        return NGX_CONF_ERROR;
    }

    addr = ngx_palloc(cf->pool, n * sizeof(ngx_addr_t));
    server = ngx_array_push_n(us->servers, n);
    if (addr == NULL || server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, n * sizeof(ngx_http_upstream_server_t));

    for (i = 0; i < n; i++) {
        addr[i].sockaddr = servers[i].sockaddr;
        addr[i].socklen = servers[i].socklen;
        addr[i].name = servers[i].name;

        server[i].name = servers[i].name;
        server[i].addrs = &addr[i];
        server[i].naddrs = 1;

        /* For workers that have not joined: nginx's own method. */

        server[i].weight = ngx_max(servers[i].weight, 1);
        server[i].max_conns = servers[i].max_conns;
        server[i].down = servers[i].down || servers[i].backup;
        server[i].max_fails = 1;
        server[i].fail_timeout = 10;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_vsched_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i, n;
    ngx_vsched_server_t           *servers;
    ngx_vsched_upstream_t         *u;
    ngx_http_vsched_srv_conf_t    *vcf;
    ngx_http_upstream_rr_peer_t   *peer;
    ngx_http_upstream_rr_peers_t  *peers;

    vcf = ngx_http_conf_upstream_srv_conf(us, ngx_http_vsched_module);
    u = vcf->upstream;

#if (NGX_HTTP_UPSTREAM_ZONE)
    if (us->shm_zone) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "vsched upstream \"%V\" has a zone of its own: remove "
                      "the directive \"zone\"", &us->host);
        return NGX_ERROR;
    }
#endif

    if (ngx_http_upstream_init_round_robin(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    us->peer.init = ngx_http_vsched_init_peer;

    n = 0;

    for (peers = us->peer.data; peers; peers = peers->next) {
        n += peers->number;
    }

    vcf->peers = ngx_palloc(cf->pool, n * sizeof(vcf->peers[0]));
    servers = ngx_pcalloc(cf->temp_pool, n * sizeof(ngx_vsched_server_t));
    if (vcf->peers == NULL || servers == NULL) {
        return NGX_ERROR;
    }

    i = 0;

    for (peers = us->peer.data; peers; peers = peers->next) {
        for (peer = peers->peer; peer; peer = peer->next) {
            servers[i].sockaddr = peer->sockaddr;
            servers[i].socklen = peer->socklen;
            servers[i].name = peer->name;
            servers[i].weight = peer->weight;
            servers[i].max_conns = peer->max_conns;
            servers[i].down = (peer->down != 0);
            servers[i].backup = (peers != us->peer.data);
            vcf->peers[i++] = peer;
        }
    }

    if (ngx_vsched_describe(cf, u, servers, n) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_vsched_add_zone(cf, u);
}


static ngx_int_t
ngx_http_vsched_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_vsched_srv_conf_t   *vcf;
    ngx_http_vsched_peer_data_t  *pd;

    pd = ngx_palloc(r->pool, sizeof(ngx_http_vsched_peer_data_t));
    if (pd == NULL) {
        return NGX_ERROR;
    }

    r->upstream->peer.data = &pd->rrp;

    if (ngx_http_upstream_init_round_robin_peer(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    vcf = ngx_http_conf_upstream_srv_conf(us, ngx_http_vsched_module);

    if (ngx_vsched_start(vcf->upstream, &pd->tries, r->pool, IPPROTO_TCP,
                         r->connection->sockaddr, r->connection->socklen)
        != NGX_OK)
    {
        return NGX_OK;
    }

    pd->conf = vcf;
    pd->request = r;

    r->upstream->peer.get = ngx_http_vsched_get_peer;
    r->upstream->peer.free = ngx_http_vsched_free_peer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_vsched_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_vsched_peer_data_t  *pd = data;

    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_upstream_rr_peer_t  *peer;

    rc = ngx_vsched_get(&pd->tries, pc->log, &i);

    if (rc != NGX_OK) {
        return rc;
    }

    peer = pd->conf->peers[i];

    pc->cached = 0;
    pc->connection = NULL;
    pc->sockaddr = peer->sockaddr;
    pc->socklen = peer->socklen;
    pc->name = &peer->name;

    /* For the functions of SSL sessions. */

    pd->rrp.current = peer;

    return NGX_OK;
}


static void
ngx_http_vsched_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_vsched_peer_data_t  *pd = data;

    ngx_uint_t            outcome, stale;
    ngx_http_upstream_t  *u;

    u = pd->request->upstream;

    /*
     * The server has closed a connection that was kept alive: this says
     * nothing about it, and nginx gives the request another try.
     */

    stale = (state & NGX_PEER_FAILED) && pc->cached
            && u->headers_in.status_n == 0
            && (pc->connection == NULL || !pc->connection->read->timedout);

    outcome = stale ? VSCHED_OUTCOME_ABANDONED
                    : ngx_http_vsched_outcome(pd->request, pc, state);

    /* Until the header: the same for short and for long answers. */

    ngx_vsched_free(&pd->tries, outcome, u->state ? u->state->header_time : 0,
                    !stale);

    if (pc->tries) {
        pc->tries--;
    }
}


/*
 * nginx says NGX_PEER_FAILED before it tries the next server, and nothing of
 * answers that it passes on.  A status from 500 on is a failure in any case.
 */

static ngx_uint_t
ngx_http_vsched_outcome(ngx_http_request_t *r, ngx_peer_connection_t *pc,
    ngx_uint_t state)
{
    ngx_event_pipe_t     *p;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    p = u->pipe;

    if ((state & NGX_PEER_FAILED)
        || u->headers_in.status_n >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        return VSCHED_OUTCOME_FAILED;
    }

    if (state & NGX_PEER_NEXT) {
        /* 403 or 404: another server may know better; this one works. */
        return VSCHED_OUTCOME_DONE;
    }

    if (u->headers_in.status_n == 0) {
        /* The client has left before an answer came. */
        return VSCHED_OUTCOME_ABANDONED;
    }

    if (u->upgrade) {
        /* A tunnel that ends, or is idle for too long, is no failure. */
        return VSCHED_OUTCOME_DONE;
    }

    if ((p && (p->upstream_error
               || (p->upstream_eof && !p->upstream_done && p->length > 0)))
        || (!u->buffering && u->length > 0
            && pc->connection && pc->connection->read->eof)
        || (pc->connection && pc->connection->read->timedout))
    {
        return VSCHED_OUTCOME_FAILED;
    }

    if (r->connection->error || (p && p->downstream_error)) {
        return VSCHED_OUTCOME_ABANDONED;
    }

    return VSCHED_OUTCOME_DONE;
}
