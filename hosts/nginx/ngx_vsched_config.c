
/*
 * From the directive and the "server" lines to a config of vsched.
 */


#include <ngx_vsched.h>


static ngx_int_t ngx_vsched_argument(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    ngx_str_t *value);
static void ngx_vsched_free_config(void *data);


/* vsched FILE KEY [options], or vsched scheduler=NAME [options]. */

ngx_vsched_upstream_t *
ngx_vsched_directive(ngx_conf_t *cf, char *module, ngx_str_t *name)
{
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_pool_cleanup_t     *cln;
    ngx_vsched_upstream_t  *u;

    u = ngx_pcalloc(cf->pool, sizeof(ngx_vsched_upstream_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (u == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_vsched_free_config;
    cln->data = u;

    u->module.data = (u_char *) module;
    u->module.len = ngx_strlen(module);
    u->name = *name;
    u->room = NGX_VSCHED_ROOM;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_vsched_argument(cf, u, &value[i]) != NGX_OK) {
            return NULL;
        }
    }

    if (u->file.len == 0 && u->scheduler.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vsched\" needs a file and the key of a virtual "
                           "service, or \"scheduler=\"");
        return NULL;
    }

    if (u->file.len
        && (u->key.len == 0 || u->scheduler.len || u->options.len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"vsched\" with a file needs the key of a virtual "
                           "service, and takes scheduler and options from "
                           "the file");
        return NULL;
    }

    if (vsched_config_new(&u->config) != VSCHED_OK
        || vsched_block_new(&u->block) != VSCHED_OK)
    {
        return NULL;
    }

    return u;
}


static ngx_int_t
ngx_vsched_argument(ngx_conf_t *cf, ngx_vsched_upstream_t *u, ngx_str_t *value)
{
    ngx_int_t   room;
    ngx_str_t  *to;

    if (ngx_strncmp(value->data, "scheduler=", 10) == 0) {
        to = &u->scheduler;

    } else if (ngx_strncmp(value->data, "options=", 8) == 0) {
        to = &u->options;

    } else if (ngx_strncmp(value->data, "zone=", 5) == 0) {
        to = &u->path;

    } else if (ngx_strncmp(value->data, "room=", 5) == 0) {
        room = ngx_atoi(value->data + 5, value->len - 5);

        if (room == NGX_ERROR || room == 0 || room > NGX_MAX_INT32_VALUE) {
            goto invalid;
        }

        u->room = room;
        return NGX_OK;

    } else if (u->file.len == 0) {
        u->file = *value;
        return ngx_conf_full_name(cf->cycle, &u->file, 1);

    } else if (u->key.len == 0) {
        u->key = *value;
        return NGX_OK;

    } else {
        goto invalid;
    }

    *to = *value;

    while (*to->data++ != '=') { to->len--; }

    to->len--;

    if (to->len) {
        return to == &u->path ? ngx_conf_full_name(cf->cycle, to, 0) : NGX_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_ERROR;
}


/* Fills the config from "server" lines, unless a file has done it. */

ngx_int_t
ngx_vsched_describe(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    ngx_vsched_server_t *servers, ngx_uint_t n)
{
    u_char         *p, *text;
    ngx_uint_t      i;
    vsched_server   server;
    vsched_status   status;

    if (u->file.len) {
        if (n == u->nservers) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "vsched upstream \"%V\" has its servers from \"%V\": "
                      "remove the directives \"server\"", &u->name, &u->file);
        return NGX_ERROR;
    }

    /* A key of the upstream's own: a mark, of the family of its servers. */

    u->key.data = ngx_pnalloc(cf->pool, VSCHED_KEY_SIZE);
    text = ngx_pnalloc(cf->temp_pool,
                       u->scheduler.len + u->options.len + VSCHED_KEY_SIZE);
    if (u->key.data == NULL || text == NULL) {
        return NGX_ERROR;
    }

    i = ngx_crc32_short(u->name.data, u->name.len) | 1;
    p = ngx_sprintf(text, "-A -f %ui%s -s %V %V\n", i,
                    servers[0].sockaddr->sa_family == AF_INET6 ? " -6" : "",
                    &u->scheduler, &u->options);

    status = vsched_config_read_rules(u->config, (char *) text, p - text);

    p = ngx_sprintf(u->key.data, "fwmark %ui%s", i,
                    servers[0].sockaddr->sa_family == AF_INET6 ? " inet6" : "");
    u->key.len = p - u->key.data;

    /* The core adds at the head: the last line first, for nginx's order. */

    for (i = n; status == VSCHED_OK && i-- > 0; ) {

        if (servers[i].sockaddr->sa_family != AF_INET
            && servers[i].sockaddr->sa_family != AF_INET6)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "vsched upstream \"%V\" takes no server \"%V\": "
                          "only IP addresses", &u->name, &servers[i].name);
            return NGX_ERROR;
        }

        ngx_memzero(&server, sizeof(vsched_server));
        server.struct_size = sizeof(vsched_server);
        server.address.data = (char *) servers[i].name.data;
        server.address.length = servers[i].name.len;
        server.weight = servers[i].down ? 0 : servers[i].weight;
        /* As in nginx: available again as soon as one has ended. */
        server.upper_threshold = servers[i].max_conns;
        server.lower_threshold = servers[i].max_conns;
        server.priority = servers[i].backup;
        server.user_data = i;

        status = vsched_config_add_server(u->config, (char *) u->key.data,
                                          u->key.len, &server);
    }

    if (status != VSCHED_OK) {
        ngx_vsched_conf_failed(cf, u, status);
        return NGX_ERROR;
    }

    u->nservers = n;

    return NGX_OK;
}


void
ngx_vsched_conf_failed(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    vsched_status status)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "vsched upstream \"%V\": %s",
                       &u->name, ngx_vsched_config_error(u, status));
}


/* Why a function on the config has failed: what the core says, if it does. */

const char *
ngx_vsched_config_error(ngx_vsched_upstream_t *u, vsched_status status)
{
    static char  text[NGX_MAX_CONF_ERRSTR];

    text[0] = '\0';
    (void) vsched_config_error(u->config, text, sizeof(text), NULL);

    return text[0] ? text : vsched_status_text(status);
}


/*
 * With the pool of the cycle.  The zone may be gone by now, as a reload has
 * another one or none: its memory is not touched here.
 */

static void
ngx_vsched_free_config(void *data)
{
    ngx_vsched_upstream_t  *u = data;

    vsched_block_free(u->block);
    vsched_config_free(u->config);
}
