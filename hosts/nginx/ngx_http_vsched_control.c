
/*
 * Locations that show and change the states of servers: "vsched_status" and
 * "vsched_set".
 */


#include <ngx_vsched.h>
#include <ngx_http.h>


typedef struct {
    ngx_uint_t                 format;
} ngx_http_vsched_control_loc_conf_t;


static void *ngx_http_vsched_control_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_vsched_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_vsched_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_vsched_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_vsched_set_handler(ngx_http_request_t *r);
static void ngx_http_vsched_set_body_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_vsched_change(ngx_http_request_t *r,
    ngx_str_t *answer);
static ngx_int_t ngx_http_vsched_format(ngx_str_t *name);
static ngx_int_t ngx_http_vsched_accepts(ngx_http_request_t *r, char *type);
static ngx_int_t ngx_http_vsched_arg(ngx_http_request_t *r, char *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_vsched_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_chain_t *out);


static ngx_str_t  ngx_http_vsched_formats[] = {
    ngx_string("text"),
    ngx_string("json"),
    ngx_string("prometheus"),
    ngx_null_string
};


static ngx_str_t  ngx_http_vsched_types[] = {
    ngx_string("text/plain"),
    ngx_string("application/json"),
    ngx_string("text/plain; version=0.0.4; charset=utf-8")
};


static ngx_command_t  ngx_http_vsched_control_commands[] = {

    { ngx_string("vsched_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_vsched_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("vsched_set"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_vsched_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_vsched_control_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_vsched_control_create_loc_conf,
                                           /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_vsched_control_module = {
    NGX_MODULE_V1,
    &ngx_http_vsched_control_module_ctx,   /* module context */
    ngx_http_vsched_control_commands,      /* module directives */
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
ngx_http_vsched_control_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_vsched_control_loc_conf_t));
}


static ngx_int_t
ngx_http_vsched_format(ngx_str_t *name)
{
    ngx_int_t  i;

    for (i = 0; ngx_http_vsched_formats[i].len; i++) {
        if (ngx_vsched_equal(name, &ngx_http_vsched_formats[i])) {
            return i;
        }
    }

    return NGX_DECLINED;
}


static char *
ngx_http_vsched_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_vsched_control_loc_conf_t  *lcf = conf;

    ngx_int_t                  format;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        format = ngx_http_vsched_format(&value[1]);
        if (format < 0) {
            return "takes \"text\", \"json\" or \"prometheus\"";
        }

        lcf->format = format;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_vsched_status_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_vsched_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_vsched_set_handler;

    return NGX_CONF_OK;
}


/* "?format=" decides, then "Accept", then the directive. */

static ngx_int_t
ngx_http_vsched_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                            rc, format;
    ngx_str_t                            arg, upstream, module;
    ngx_chain_t                         *out;
    ngx_http_vsched_control_loc_conf_t  *lcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_vsched_control_module);
    format = lcf->format;
    if (ngx_http_vsched_arg(r, "format", &arg) == NGX_OK) {
        format = ngx_http_vsched_format(&arg);
        if (format < 0) {
            return NGX_HTTP_BAD_REQUEST;
        }

    } else if (ngx_http_vsched_accepts(r, "application/json") == NGX_OK) {
        format = NGX_VSCHED_JSON;

    } else if (ngx_http_vsched_accepts(r, "version=0.0.4") == NGX_OK) {
        format = NGX_VSCHED_PROMETHEUS;
    }

    ngx_str_null(&upstream);
    ngx_str_null(&module);
    (void) ngx_http_vsched_arg(r, "upstream", &upstream);
    (void) ngx_http_vsched_arg(r, "module", &module);

    out = ngx_vsched_status(r->pool, format, &module, &upstream);
    if (out == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_vsched_send(r, NGX_HTTP_OK, &ngx_http_vsched_types[format],
                                out);
}


static ngx_int_t
ngx_http_vsched_set_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (r->method != NGX_HTTP_POST) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_vsched_set_body_read);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* The arguments are in the query; a body is read and ignored. */

static void
ngx_http_vsched_set_body_read(ngx_http_request_t *r)
{
    ngx_int_t     status;
    ngx_buf_t    *b;
    ngx_str_t     answer;
    ngx_chain_t  *out;

    ngx_str_null(&answer);

    status = ngx_http_vsched_change(r, &answer);
    b = ngx_create_temp_buf(r->pool, answer.len + 1);
    out = ngx_alloc_chain_link(r->pool);
    if (b == NULL || out == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    b->last = ngx_sprintf(b->last, "%V\n", &answer);
    out->buf = b;
    out->next = NULL;

    ngx_http_finalize_request(r, ngx_http_vsched_send(r, status,
                                          &ngx_http_vsched_types[0], out));
}


/*
 * POST ?upstream=NAME&server=ADDRESS&state=up|draining|down[&reason=WHY],
 * or &weight=N instead of the state
 */

static ngx_int_t
ngx_http_vsched_change(ngx_http_request_t *r, ngx_str_t *answer)
{
    ngx_str_t                name, module, server, state, reason, weight;
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_array_t             *upstreams;
    ngx_vsched_upstream_t  **up;

    ngx_str_null(&state);
    ngx_str_null(&weight);
    (void) ngx_http_vsched_arg(r, "state", &state);
    (void) ngx_http_vsched_arg(r, "weight", &weight);

    if (ngx_http_vsched_arg(r, "upstream", &name) != NGX_OK
        || ngx_http_vsched_arg(r, "server", &server) != NGX_OK
        || (state.data == NULL) == (weight.data == NULL))
    {
        ngx_str_set(answer, "needs upstream=, server=, "
                            "and either state= or weight=");
        return NGX_HTTP_BAD_REQUEST;
    }

    ngx_str_set(&module, "http");
    ngx_str_set(&reason, "vsched_set");
    (void) ngx_http_vsched_arg(r, "module", &module);
    (void) ngx_http_vsched_arg(r, "reason", &reason);

    upstreams = ngx_vsched_upstreams((ngx_cycle_t *) ngx_cycle);
    up = upstreams->elts;
    for (i = 0; i < upstreams->nelts; i++) {
        if (!ngx_vsched_equal(&up[i]->name, &name)
            || !ngx_vsched_equal(&up[i]->module, &module))
        {
            continue;
        }

        rc = state.data
             ? ngx_vsched_set_state(up[i], &server, &state, &reason, answer)
             : ngx_vsched_set_weight(up[i], &server, &weight, answer);

        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "vsched upstream \"%V\": server %V set %s%V: %V: %V",
                      &name, &server, state.data ? "" : "weight ",
                      state.data ? &state : &weight, &reason, answer);

        return rc == NGX_OK ? NGX_HTTP_OK
               : rc == NGX_DECLINED ? NGX_HTTP_NOT_FOUND
               : rc == NGX_AGAIN ? NGX_HTTP_SERVICE_UNAVAILABLE
               : NGX_HTTP_BAD_REQUEST;
    }

    ngx_str_set(answer, "no such upstream of vsched");

    return NGX_HTTP_NOT_FOUND;
}


/* nginx parses "Accept" only if some of its modules are built. */

static ngx_int_t
ngx_http_vsched_accepts(ngx_http_request_t *r, char *type)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (header[i].key.len == 6
                && ngx_strncasecmp(header[i].key.data, (u_char *) "Accept", 6)
                   == 0
                && ngx_strnstr(header[i].value.data, type,
                               header[i].value.len))
            {
                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}


/* An argument of the query; without it the value stays. */

static ngx_int_t
ngx_http_vsched_arg(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    u_char     *src, *dst;
    ngx_str_t   arg;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &arg) != NGX_OK) {
        return NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, arg.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    src = arg.data;
    value->data = dst;
    ngx_unescape_uri(&dst, &src, arg.len, 0);
    value->len = dst - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_vsched_send(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type,
    ngx_chain_t *out)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = 0;

    for (cl = out; cl; cl = cl->next) {
        r->headers_out.content_length_n += cl->buf->last - cl->buf->pos;
        cl->buf->last_in_chain = (cl->next == NULL);
        cl->buf->last_buf = (cl->next == NULL);
    }

    /* Of buffers without bytes nginx alerts. */
    r->header_only |= (r->headers_out.content_length_n == 0);

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}
