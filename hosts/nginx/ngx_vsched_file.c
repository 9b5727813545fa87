
/*
 * Reads a config of vsched from a file: rules as "ipvsadm --save" prints them,
 * or JSON.
 */


#include <ngx_vsched.h>


static ngx_int_t ngx_vsched_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static ngx_int_t ngx_vsched_keep_service(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u);
static vsched_server_state *ngx_vsched_servers(ngx_conf_t *cf,
    ngx_vsched_upstream_t *u, size_t *n);
static ngx_int_t ngx_vsched_file_server(ngx_conf_t *cf,
    vsched_server_state *state, ngx_vsched_server_t *server);


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
        ngx_vsched_conf_failed(cf, u, status);
        return NULL;
    }

    if (ngx_vsched_keep_service(cf, u) != NGX_OK) {
        return NULL;
    }

    state = ngx_vsched_servers(cf, u, &count);
    if (state == NULL) {
        return NULL;
    }

    servers = ngx_pcalloc(cf->pool, count * sizeof(ngx_vsched_server_t));
    if (servers == NULL) {
        return NULL;
    }

    for (i = 0; i < count; i++) {
        if (ngx_vsched_file_server(cf, &state[i], &servers[i]) != NGX_OK) {
            return NULL;
        }

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
            ngx_vsched_conf_failed(cf, u, status);
            return NULL;
        }
    }

    u->nservers = count;
    *n = count;

    return servers;
}


static ngx_int_t
ngx_vsched_file_server(ngx_conf_t *cf, vsched_server_state *state,
    ngx_vsched_server_t *server)
{
    ngx_url_t  url;

    ngx_memzero(&url, sizeof(ngx_url_t));
    url.no_resolve = 1;
    url.url.len = ngx_strlen(state->address_text);
    url.url.data = ngx_pnalloc(cf->pool, url.url.len + 1);
    if (url.url.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(url.url.data, state->address_text, url.url.len + 1);

    if (state->port == 0
        || ngx_parse_url(cf->pool, &url) != NGX_OK
        || url.naddrs != 1)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "server \"%V\" needs an IP address and a port",
                           &url.url);
        return NGX_ERROR;
    }

    server->sockaddr = url.addrs[0].sockaddr;
    server->socklen = url.addrs[0].socklen;
    server->name = url.addrs[0].name;
    server->weight = state->weight;
    server->max_conns = state->upper_threshold;
    server->down = (state->weight == 0);
    server->backup = (state->priority != 0);

    return NGX_OK;
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
        ngx_vsched_conf_failed(cf, u, status);
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
ngx_vsched_servers(ngx_conf_t *cf, ngx_vsched_upstream_t *u, size_t *n)
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
        ngx_vsched_conf_failed(cf, u, status);
        return NULL;
    }

    return state;
}
