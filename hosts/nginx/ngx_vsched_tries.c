
/*
 * The tries of a request: which server next, and how the last one went.
 */


#include <ngx_vsched.h>


/*
 * NGX_DECLINED: this worker has not joined the block, use something else.
 */

ngx_int_t
ngx_vsched_start(ngx_vsched_upstream_t *u, ngx_vsched_tries_t *t,
    ngx_pool_t *pool, ngx_uint_t protocol, struct sockaddr *client,
    socklen_t socklen)
{
    if (u->worker == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(t, sizeof(ngx_vsched_tries_t));

    t->upstream = u;
    t->pool = pool;

    /* A client without an address, on a UNIX socket, hashes as zeros. */

    if (vsched_flow_from_sockaddr(protocol, client, socklen, client, socklen,
                                  &t->flow)
        != VSCHED_OK)
    {
        ngx_memzero(&t->flow, sizeof(vsched_flow));
        t->flow.protocol = protocol;
    }

    /* As if the client had connected to the virtual service. */

    ngx_memcpy(t->flow.destination, u->flow.destination,
               sizeof(t->flow.destination));
    t->flow.destination_port = u->flow.destination_port;

    return NGX_OK;
}


ngx_int_t
ngx_vsched_get(ngx_vsched_tries_t *t, ngx_log_t *log, ngx_uint_t *server)
{
    vsched_pick             pick;
    vsched_status           status;
    ngx_vsched_upstream_t  *u;

    u = t->upstream;

    status = vsched_worker_connect(u->worker, u->service, &t->flow, t->tried,
                                   t->ntried, &pick, &t->lease);

    if (status == VSCHED_OK) {
        t->open = 1;
        t->current = pick.server;

        if (pick.user_data < u->nservers) {
            *server = pick.user_data;
            return NGX_OK;
        }

        ngx_vsched_free(t, VSCHED_OUTCOME_ABANDONED, 0, 1);
    }

    ngx_log_error(NGX_LOG_INFO, log, 0, "vsched upstream \"%V\": %s",
                  &u->name, status == VSCHED_NO_SERVER
                  ? vsched_refusal_text(vsched_worker_refusal(u->worker))
                  : vsched_status_text(status));

    return NGX_BUSY;
}


/* Ends a try, if one is open; the next one excludes its server, or not. */

void
ngx_vsched_free(ngx_vsched_tries_t *t, ngx_uint_t outcome, ngx_msec_t latency,
    ngx_uint_t exclude)
{
    ngx_vsched_upstream_t  *u;

    if (!t->open) {
        return;
    }

    u = t->upstream;
    t->open = 0;

    /* What takes less than nginx's clock shows is not "not measured". */

    (void) vsched_worker_close_with(u->worker, &t->lease, outcome,
                                    latency ? (uint64_t) latency * 1000 : 1);

    if (!exclude) {
        return;
    }

    if (t->tried == NULL) {
        t->tried = ngx_palloc(t->pool, u->nservers * sizeof(vsched_server_id));
    }

    if (t->tried && t->ntried < u->nservers) {
        t->tried[t->ntried++] = t->current;
    }
}
