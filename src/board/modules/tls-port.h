/* SPDX-License-Identifier: MIT */
/* Included before MicroPython's extmod/modtls_mbedtls.c.
 *
 * An error of a connection whose handshake is over (a time-out, a peer that has gone) is the error of that read or write,
 * and the connection can be closed. With Debian 12's mbedtls, which upstream takes to be on its way through the
 * handshake for ever, it would let go of the socket without closing it. And it is a positive errno, each time.
 *
 * Of a handshake that has failed it does let go without: tls_connection_free() (tls.c) gives the socket back, for
 * close(). */
#pragma once

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdbool.h>

bool tls_error_is_plain(const mbedtls_ssl_context *ssl, int *error, int *last_error);

/* Both names have one use, in the condition of ssl_check_async_handshake_failure(). */
#if MBEDTLS_VERSION_MAJOR >= 3
#define mbedtls_ssl_is_handshake_over(ssl_) tls_error_is_plain(ssl_, errcode, &sslsock->last_error)
#else
enum { TLS_CONN_EOF = MBEDTLS_ERR_SSL_CONN_EOF };
#undef MBEDTLS_ERR_SSL_CONN_EOF
#define MBEDTLS_ERR_SSL_CONN_EOF \
        TLS_CONN_EOF) && (tls_error_is_plain(&sslsock->ssl, errcode, &sslsock->last_error) == 0
#endif
