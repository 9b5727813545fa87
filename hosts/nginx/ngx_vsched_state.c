
/*
 * What an administrator sets: states and weights.
 */


#include <ngx_vsched.h>


/*
 * Obeyed by all workers from their next try on, and kept over reloads.
 * NGX_DECLINED: no such server; NGX_AGAIN: this worker has not joined.
 */

ngx_int_t
ngx_vsched_set_state(ngx_vsched_upstream_t *u, ngx_str_t *server,
    ngx_str_t *state, ngx_str_t *reason, ngx_str_t *answer)
{
    uint32_t          i, result;
    vsched_status     status;
    vsched_server_id  id;

    if (u->director == NULL) {
        ngx_str_set(answer, "this worker has not joined the block");
        return NGX_AGAIN;
    }

    for (i = VSCHED_UP; i <= VSCHED_DOWN; i++) {
        if (ngx_strlen(ngx_vsched_states[i]) == state->len
            && ngx_strncmp(ngx_vsched_states[i], state->data, state->len) == 0)
        {
            break;
        }
    }

    if (i > VSCHED_DOWN) {
        ngx_str_set(answer, "state is up, draining or down");
        return NGX_ERROR;
    }

    status = vsched_director_server(u->director, (char *) u->key.data,
                                    u->key.len, (char *) server->data,
                                    server->len, &id);

    if (status == VSCHED_OK) {
        status = vsched_director_set_state(u->director, id,
                                           VSCHED_HOLDER_ADMINISTRATOR, i,
                                           (char *) reason->data, reason->len,
                                           &result);
    }

    if (status == VSCHED_OK) {
        answer->data = (u_char *) ngx_vsched_states[result % 3];
        answer->len = ngx_strlen(answer->data);
        return NGX_OK;
    }

    if (status == VSCHED_STALE) {
        ngx_str_set(answer, "no such server in this upstream");
        return NGX_DECLINED;
    }

    answer->data = (u_char *) vsched_status_text(status);
    answer->len = ngx_strlen(answer->data);

    return NGX_ERROR;
}


/*
 * A weight is every worker's after its next tick, and that of workers to come
 * as long as their config has the weight that was replaced.
 */

ngx_int_t
ngx_vsched_set_weight(ngx_vsched_upstream_t *u, ngx_str_t *server,
    ngx_str_t *weight, ngx_str_t *answer)
{
    ngx_int_t         n;
    vsched_status     status;
    vsched_server_id  id;

    if (u->director == NULL) {
        ngx_str_set(answer, "this worker has not joined the block");
        return NGX_AGAIN;
    }

    n = ngx_atoi(weight->data, weight->len);
    if (n == NGX_ERROR || n > 65535) {
        ngx_str_set(answer, "weight is a number from 0 to 65535");
        return NGX_ERROR;
    }

    status = vsched_director_server(u->director, (char *) u->key.data,
                                    u->key.len, (char *) server->data,
                                    server->len, &id);

    if (status == VSCHED_OK) {
        status = vsched_director_set_weight(u->director, id, (uint32_t) n,
                                            NULL);
    }

    if (status == VSCHED_STALE) {
        ngx_str_set(answer, "no such server in this upstream");
        return NGX_DECLINED;
    }

    if (status != VSCHED_OK) {
        answer->data = (u_char *) vsched_status_text(status);
        answer->len = ngx_strlen(answer->data);
        return NGX_ERROR;
    }

    *answer = *weight;
    return NGX_OK;
}
