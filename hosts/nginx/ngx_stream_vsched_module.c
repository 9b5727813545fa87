
/*
 * vsched as the load balancing method of stream upstreams.
 */


#include <ngx_vsched.h>
#include <ngx_stream.h>


typedef struct {
    ngx_vsched_upstream_t           *upstream;
    /* In the order of the servers of ngx_vsched_upstream_t. */
    ngx_stream_upstream_rr_peer_t   **peers;
} ngx_stream_vsched_srv_conf_t;


typedef struct {
    /* First: nginx's round robin gets this pointer. */
    ngx_stream_upstream_rr_peer_data_t   rrp;
    ngx_stream_vsched_srv_conf_t        *conf;
    ngx_stream_session_t                *session;
    ngx_vsched_tries_t                   tries;
} ngx_stream_vsched_peer_data_t;


static void *ngx_stream_vsched_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_vsched(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_stream_vsched_add_servers(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us, ngx_vsched_upstream_t *u);
static ngx_int_t ngx_stream_vsched_init(ngx_conf_t *cf,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_vsched_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us);
static ngx_int_t ngx_stream_vsched_get_peer(ngx_peer_connection_t *pc,
    void *data);
static void ngx_stream_vsched_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);


static ngx_command_t  ngx_stream_vsched_commands[] = {

    { ngx_string("vsched"),
      NGX_STREAM_UPS_CONF|NGX_CONF_1MORE,
      ngx_stream_vsched,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_vsched_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_vsched_create_srv_conf,     /* create server configuration */
    NULL                                   /* merge server configuration */
};


ngx_module_t  ngx_stream_vsched_module = {
    NGX_MODULE_V1,
    &ngx_stream_vsched_module_ctx,         /* module context */
    ngx_stream_vsched_commands,            /* module directives */
    NGX_STREAM_MODULE,                       /* module type */
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
ngx_stream_vsched_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_stream_vsched_srv_conf_t));
}


static char *
ngx_stream_vsched(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_vsched_srv_conf_t    *vcf = conf;
    ngx_stream_upstream_srv_conf_t  *us;

    if (vcf->upstream) {
        return "is duplicate";
    }

    us = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_upstream_module);

    if (us->peer.init_upstream) {
        return "needs an upstream without another method";
    }

    /* Parameters of "server" before this line would not be checked. */

    if (us->servers->nelts) {
        return "must come before \"server\"";
    }

    vcf->upstream = ngx_vsched_directive(cf, "stream", &us->host);

    if (vcf->upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    us->peer.init_upstream = ngx_stream_vsched_init;
    us->flags = NGX_STREAM_UPSTREAM_CREATE
                |NGX_STREAM_UPSTREAM_WEIGHT
                |NGX_STREAM_UPSTREAM_MAX_CONNS
                |NGX_STREAM_UPSTREAM_DOWN
                |NGX_STREAM_UPSTREAM_BACKUP;

    if (vcf->upstream->file.len) {
        return ngx_stream_vsched_add_servers(cf, us, vcf->upstream);
    }

    return NGX_CONF_OK;
}


/* The servers of the file as if they stood here. */

static char *
ngx_stream_vsched_add_servers(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us,
    ngx_vsched_upstream_t *u)
{
    ngx_uint_t                   i, n;
    ngx_addr_t                  *addr;
    ngx_vsched_server_t         *servers;
    ngx_stream_upstream_server_t  *server;

    servers = ngx_vsched_read_file(cf, u, &n);
    if (servers == NULL) {
        return NGX_CONF_ERROR;
    }

    addr = ngx_palloc(cf->pool, n * sizeof(ngx_addr_t));
    server = ngx_array_push_n(us->servers, n);
    if (addr == NULL || server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, n * sizeof(ngx_stream_upstream_server_t));

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
ngx_stream_vsched_init(ngx_conf_t *cf, ngx_stream_upstream_srv_conf_t *us)
{
    ngx_uint_t                     i, n;
    ngx_vsched_server_t           *servers;
    ngx_vsched_upstream_t         *u;
    ngx_stream_vsched_srv_conf_t    *vcf;
    ngx_stream_upstream_rr_peer_t   *peer;
    ngx_stream_upstream_rr_peers_t  *peers;

    vcf = ngx_stream_conf_upstream_srv_conf(us, ngx_stream_vsched_module);
    u = vcf->upstream;

#if (NGX_STREAM_UPSTREAM_ZONE)
    if (us->shm_zone) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "vsched upstream \"%V\" has a zone of its own: remove "
                      "the directive \"zone\"", &us->host);
        return NGX_ERROR;
    }
#endif

    if (ngx_stream_upstream_init_round_robin(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    us->peer.init = ngx_stream_vsched_init_peer;

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
ngx_stream_vsched_init_peer(ngx_stream_session_t *s,
    ngx_stream_upstream_srv_conf_t *us)
{
    ngx_connection_t               *c;
    ngx_stream_vsched_srv_conf_t   *vcf;
    ngx_stream_vsched_peer_data_t  *pd;

    c = s->connection;

    pd = ngx_palloc(c->pool, sizeof(ngx_stream_vsched_peer_data_t));
    if (pd == NULL) {
        return NGX_ERROR;
    }

    s->upstream->peer.data = &pd->rrp;

    if (ngx_stream_upstream_init_round_robin_peer(s, us) != NGX_OK) {
        return NGX_ERROR;
    }

    vcf = ngx_stream_conf_upstream_srv_conf(us, ngx_stream_vsched_module);

    if (ngx_vsched_start(vcf->upstream, &pd->tries, c->pool,
                         c->type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP,
                         c->sockaddr, c->socklen)
        != NGX_OK)
    {
        return NGX_OK;
    }

    pd->conf = vcf;
    pd->session = s;

    s->upstream->peer.get = ngx_stream_vsched_get_peer;
    s->upstream->peer.free = ngx_stream_vsched_free_peer;
    s->upstream->peer.notify = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_stream_vsched_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_stream_vsched_peer_data_t  *pd = data;

    ngx_int_t                       rc;
    ngx_uint_t                      i;
    ngx_stream_upstream_rr_peer_t  *peer;

    rc = ngx_vsched_get(&pd->tries, pc->log, &i);

    if (rc != NGX_OK) {
        return rc;
    }

    peer = pd->conf->peers[i];

    pc->connection = NULL;
    pc->sockaddr = peer->sockaddr;
    pc->socklen = peer->socklen;
    pc->name = &peer->name;

    pd->rrp.current = peer;

    return NGX_OK;
}


static void
ngx_stream_vsched_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_stream_vsched_peer_data_t  *pd = data;

    ngx_uint_t              outcome;
    ngx_msec_t              latency;
    ngx_stream_upstream_t  *u;

    u = pd->session->upstream;
    latency = 0;

    if (state & NGX_PEER_FAILED) {
        outcome = VSCHED_OUTCOME_FAILED;

    } else if (!u->connected) {
        /* The client has left before. */
        outcome = VSCHED_OUTCOME_ABANDONED;

    } else {
        /* How long a session lasts is the client's affair: until connected. */
        outcome = VSCHED_OUTCOME_DONE;
        latency = u->state ? u->state->connect_time : 0;
    }

    ngx_vsched_free(&pd->tries, outcome, latency, 1);

    if (pc->tries) {
        pc->tries--;
    }
}
