/* A connection of the load generator over TLS 1.3 with AES-128-GCM and X25519. The server's
 * certificate is not verified: nobody is there but the proxy that is measured. */
#ifndef TLS_H
#define TLS_H

#include "wire.h"

#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#define SCHEME "https"
#define HOST "localhost"

struct link {
    int fd;
    SSL *ssl;
};

static SSL_CTX *tls_context;
static SSL_SESSION *tls_session; /* of the newest ticket */
static bool tls_resumes;         /* whether connections resume it */

static inline void tls_die(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int tls_ticket(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(tls_session);
    tls_session = session;
    return 1;
}

static inline void link_setup(void) {
    signal(SIGPIPE, SIG_IGN);
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context || !SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls_context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(tls_context, "X25519"))
        tls_die("TLS cannot be set up");
    SSL_CTX_set_options(tls_context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Many records in one recv, into memory that is not given back to the kernel meanwhile: the
     * load generator has to be cheaper than the proxy. */
    SSL_CTX_set_read_ahead(tls_context, 1);
    SSL_CTX_set_default_read_buffer_len(tls_context, BUFFER_BYTES);
    mallopt(M_MMAP_THRESHOLD, 64 * BUFFER_BYTES);
    mallopt(M_TRIM_THRESHOLD, 64 * BUFFER_BYTES);
    SSL_CTX_set_session_cache_mode(tls_context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(tls_context, tls_ticket);
}

/* From now on connections resume the session of the newest ticket. */
static inline bool link_resume(void) { return tls_resumes = tls_session != NULL; }

static inline void link_begin(struct link *link, int fd) {
    link->fd = fd;
    link->ssl = SSL_new(tls_context);
    if (!link->ssl || !SSL_set_fd(link->ssl, fd) || !SSL_set_tlsext_host_name(link->ssl, HOST))
        tls_die("a connection cannot be set up");
    if (!tls_resumes) return;
    /* A copy: OpenSSL gives up a connection's session when the connection gets the next ticket. */
    SSL_SESSION *copy = SSL_SESSION_dup(tls_session);
    if (!SSL_set_session(link->ssl, copy)) tls_die("a session cannot be resumed");
    SSL_SESSION_free(copy);
}

/* The count of bytes, 0 at the end, -1 with EAGAIN when the socket would block. */
static inline ssize_t tls_count(struct link *link, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(link->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL)
        tls_die("TLS failed");
    return -1;
}

static inline bool link_secure(struct link *link) {
    ERR_clear_error();
    ssize_t done = tls_count(link, SSL_connect(link->ssl));
    if (done < 0 && errno == EAGAIN) return false;
    if (done <= 0) tls_die("the connection ended during the TLS handshake");
    if (tls_resumes && !SSL_session_reused(link->ssl))
        tls_die("the server did not resume a TLS session");
    return true;
}

/* Record by record, which is what one SSL_write sends. */
static inline ssize_t link_send(struct link *link, const void *data, size_t size) {
    size_t sent = 0;
    ERR_clear_error();
    while (sent < size) {
        const uint8_t *from = (const uint8_t *)data + sent;
        ssize_t count = tls_count(link, SSL_write(link->ssl, from, (int)(size - sent)));
        if (count <= 0) return sent ? (ssize_t)sent : -1;
        sent += (size_t)count;
    }
    return (ssize_t)sent;
}

static inline ssize_t link_recv(struct link *link, void *data, size_t size) {
    ERR_clear_error();
    return tls_count(link, SSL_read(link->ssl, data, (int)size));
}

static inline bool link_pending(const struct link *link) {
    return link->ssl && SSL_has_pending(link->ssl);
}

static inline void link_close(struct link *link) {
    ERR_clear_error();
    SSL_shutdown(link->ssl);
    SSL_free(link->ssl);
    link->ssl = NULL;
    close(link->fd);
}

#endif
