
/*
 * From the directive, the file and the "server" lines to a config of vsched.
 */


#include <ngx_vsched.h>


static ngx_int_t ngx_vsched_argument(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    ngx_str_t *value);
static ngx_int_t ngx_vsched_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static ngx_int_t ngx_vsched_keep_service(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u);
static vsched_server_state *ngx_vsched_states(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u, size_t *n);
static char *ngx_vsched_config_failed(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u, vsched_status status);
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

    if (vsched_abi_version() != VSCHED_ABI_VERSION
        || vsched_config_new(&u->config) != VSCHED_OK
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


/*
 * Reads the file of the directive and leaves one service in the config.
 * Returns its servers, in the order of the config.
 */

ngx_vsched_server_t *
ngx_vsched_read_file(ngx_conf_t *cf, ngx_vsched_upstream_t *u, ngx_uint_t *n)
{
    size_t                i, count;
    u_char               *p;
    ngx_str_t             text;
    ngx_url_t             url;
    vsched_server         server;
    vsched_status         status;
    ngx_vsched_server_t  *servers;
    vsched_server_state  *state;

    if (ngx_vsched_read(cf, &u->file, &text) != NGX_OK) {
        return NULL;
    }

    for (p = text.data;
         p < text.data + text.len && (*p <= ' ');
         p++) { /* void */ }

    if (p < text.data + text.len && *p == '{') {
        status = vsched_config_read_json(u->config, (char *) text.data,
                                         text.len);
    } else {
        status = vsched_config_read_rules(u->config, (char *) text.data,
                                          text.len);
    }

    if (status != VSCHED_OK) {
        ngx_vsched_config_failed(cf, u, status);
        return NULL;
    }

    if (ngx_vsched_keep_service(cf, u) != NGX_OK) {
        return NULL;
    }

    state = ngx_vsched_states(cf, u, &count);
    if (state == NULL) {
        return NULL;
    }

    servers = ngx_pcalloc(cf->pool, count * sizeof(ngx_vsched_server_t));
    if (servers == NULL) {
        return NULL;
    }

    for (i = 0; i < count; i++) {
        if (state[i].port == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "server \"%s\" of service \"%V\" has no port",
                               state[i].address_text, &u->key);
            return NULL;
        }

        ngx_memzero(&url, sizeof(ngx_url_t));
        url.url.len = ngx_strlen(state[i].address_text);
        url.url.data = ngx_pnalloc(cf->pool, url.url.len + 1);
        if (url.url.data == NULL) {
            return NULL;
        }

        ngx_memcpy(url.url.data, state[i].address_text, url.url.len + 1);
        url.no_resolve = 1;

        if (ngx_parse_url(cf->pool, &url) != NGX_OK || url.naddrs != 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid server \"%V\"",
                               &url.url);
            return NULL;
        }

        servers[i].sockaddr = url.addrs[0].sockaddr;
        servers[i].socklen = url.addrs[0].socklen;
        servers[i].name = url.addrs[0].name;
        servers[i].weight = state[i].weight;
        servers[i].max_conns = state[i].upper_threshold;
        servers[i].down = (state[i].weight == 0);
        servers[i].backup = (state[i].priority != 0);

        /* Picks return the index. */

        ngx_memzero(&server, sizeof(vsched_server));
        server.struct_size = sizeof(vsched_server);

        status = vsched_server_from_state(&state[i], sizeof(*state), &server);

        if (status == VSCHED_OK) {
            server.user_data = i;
            status = vsched_config_edit_server(u->config, (char *) u->key.data,
                                               u->key.len, &server);
        }

        if (status != VSCHED_OK) {
            ngx_vsched_config_failed(cf, u, status);
            return NULL;
        }
    }

    u->nservers = count;
    *n = count;

    return servers;
}


static ngx_int_t
ngx_vsched_read(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    ngx_fd_t          fd;
    ngx_int_t         rc;
    ngx_file_t        file;
    ngx_file_info_t   fi;

    rc = NGX_ERROR;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.fd = fd;
    file.name = *name;
    file.log = cf->log;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", name);
        goto done;
    }

    text->len = ngx_file_size(&fi);
    text->data = ngx_palloc(cf->temp_pool, text->len + 1);

    if (text->data == NULL) {
        goto done;
    }

    if (ngx_read_file(&file, text->data, text->len, 0) != (ssize_t) text->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "could not read the whole file \"%V\"", name);
        goto done;
    }

    /* nginx -T prints it. */
    rc = NGX_OK;

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}


static ngx_int_t
ngx_vsched_keep_service(ngx_conf_t *cf, ngx_vsched_upstream_t *u)
{
    char                  *key;
    size_t                 i, count;
    ngx_uint_t             found;
    vsched_status          status;
    vsched_service_state  *state;

    count = 0;
    (void) !vsched_config_services(u->config, NULL, sizeof(*state), 0, &count);

    state = ngx_pcalloc(cf->temp_pool, (count + 1) * sizeof(*state));
    if (state == NULL) {
        return NGX_ERROR;
    }

    status = vsched_config_services(u->config, state, sizeof(*state), count,
                                    &count);
    found = 0;

    for (i = 0; status == VSCHED_OK && i < count; i++) {
        key = state[i].key;

        if ((ngx_strlen(key) == u->key.len
             && ngx_strncmp(key, u->key.data, u->key.len) == 0)
            || (ngx_strlen(state[i].name) == u->key.len
                && ngx_strncmp(state[i].name, u->key.data, u->key.len) == 0))
        {
            found = 1;
            ngx_memcpy(u->flow.destination, state[i].address,
                       sizeof(u->flow.destination));
            u->flow.destination_port = state[i].port;
            continue;
        }

        status = vsched_config_delete_service(u->config, key, ngx_strlen(key));
    }

    if (status != VSCHED_OK) {
        ngx_vsched_config_failed(cf, u, status);
        return NGX_ERROR;
    }

    if (!found) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no virtual service \"%V\" in \"%V\"", &u->key,
                           &u->file);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static vsched_server_state *
ngx_vsched_states(ngx_conf_t *cf, ngx_vsched_upstream_t *u, size_t *n)
{
    vsched_status         status;
    vsched_server_state  *state;

    *n = 0;
    status = vsched_config_servers(u->config, (char *) u->key.data, u->key.len,
                                   NULL, sizeof(*state), 0, n);

    if (*n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "virtual service \"%V\" has no server", &u->key);
        return NULL;
    }

    state = ngx_pcalloc(cf->temp_pool, *n * sizeof(*state));
    if (state == NULL) {
        return NULL;
    }

    status = vsched_config_servers(u->config, (char *) u->key.data, u->key.len,
                                   state, sizeof(*state), *n, n);
    if (status != VSCHED_OK) {
        ngx_vsched_config_failed(cf, u, status);
        return NULL;
    }

    return state;
}


/* Fills the config from "server" lines. */

ngx_int_t
ngx_vsched_describe(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    ngx_vsched_server_t *servers, ngx_uint_t n)
{
    u_char         *p, *text;
    ngx_uint_t      i;
    vsched_server   server;
    vsched_status   status;

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
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"vsched\" takes no server \"%V\": only "
                               "IP addresses", &servers[i].name);
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
        ngx_vsched_config_failed(cf, u, status);
        return NGX_ERROR;
    }

    u->nservers = n;

    return NGX_OK;
}


static char *
ngx_vsched_config_failed(ngx_conf_t *cf, ngx_vsched_upstream_t *u,
    vsched_status status)
{
    char  text[NGX_MAX_CONF_ERRSTR];

    text[0] = '\0';
    (void) vsched_config_error(u->config, text, sizeof(text), NULL);

    if (text[0] == '\0') {
        ngx_cpystrn((u_char *) text, (u_char *) vsched_status_text(status),
                    sizeof(text));
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "vsched upstream \"%V\": %s",
                       &u->name, text);
    return NGX_CONF_ERROR;
}


static void
ngx_vsched_free_config(void *data)
{
    ngx_vsched_upstream_t  *u = data;

    vsched_worker_free(u->worker);
    vsched_director_free(u->director);
    vsched_block_free(u->block);
    vsched_config_free(u->config);
}
