/* SPDX-License-Identifier: MIT */
/* What MicroPython's tls module (extmod/modtls_mbedtls.c) needs of this port. */
#include "util/macros.h"

#include "board/modules/tls.h"

#include <fcntl.h>
#include <mbedtls/asn1.h>
#include <mbedtls/cipher.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "py/mperrno.h"
#include "py/runtime.h"

/* Debian's package ca-certificates makes it. */
#define CA_CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"
#define CA_CERTIFICATES_MAX (8 * 1024 * 1024)

/* Stands for mbedtls_x509_crt_parse(), which answers how many of a bundle it could not read. */
int tls_certificates_parse(mbedtls_x509_crt *chain, const unsigned char *buf, size_t size);
int tls_certificates_parse(mbedtls_x509_crt *chain, const unsigned char *buf, size_t size) {
        int r = mbedtls_x509_crt_parse(chain, buf, size);

        return r > 0 && chain->raw.len > 0 ? 0 : r;
}

/* TLS 1.3 is what mbedtls 3.6 (Debian 13) negotiates when it may; boards have 1.2. */
static void without_tls_1_3(mbedtls_ssl_config *conf) {
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
        mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
}

/* Stands for mbedtls_ssl_config_defaults(). A client may use TLS 1.3, as there are servers that have nothing else; a
 * server does not, because with it mbedtls 3.6 takes the alert of a client that refuses its certificate for damage
 * (MBEDTLS_ERR_SSL_INVALID_MAC). A DTLS server of Debian's mbedtls refuses every client until it was given keys for
 * its cookies; MicroPython's is built without them, and a socket of ours that serves is connected to one peer. */
int tls_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport, int preset);
int tls_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport, int preset) {
        int r = mbedtls_ssl_config_defaults(conf, endpoint, transport, preset);

        if (r == 0 && endpoint == MBEDTLS_SSL_IS_SERVER)
                without_tls_1_3(conf);
#ifdef MBEDTLS_SSL_DTLS_HELLO_VERIFY
        if (r == 0 && endpoint == MBEDTLS_SSL_IS_SERVER && transport == MBEDTLS_SSL_TRANSPORT_DATAGRAM)
                mbedtls_ssl_conf_dtls_cookies(conf, NULL, NULL, NULL);
#endif
        return r;
}

/* Stands for mbedtls_ssl_conf_ciphersuites(): suites, ended by 0, and those of TLS 1.3 are 0x1301 and following
 * (RFC 8446, B.4). Who has chosen none of them would offer 1.3 all the same, and have nothing to speak it with. */
void tls_ciphersuites_set(mbedtls_ssl_config *conf, const int *suites);
void tls_ciphersuites_set(mbedtls_ssl_config *conf, const int *suites) {
        bool any = false;

        for (const int *s = suites; s && *s; s++)
                any = any || (*s & 0xff00) == 0x1300;
        if (suites && !any)
                without_tls_1_3(conf);
        mbedtls_ssl_conf_ciphersuites(conf, suites);
}

/* ---- connections that have ended ---- */

/* Numbers down to there are an errno of the socket's, negative as mbedtls hands it on. */
#define ERRNO_LAST (-256)

#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

/* A handshake that has failed in a read or write: its connection is about to let go of the socket. */
static _Thread_local struct {
        const mbedtls_ssl_context *ssl;
        mp_obj_t *place, socket; /* where the connection has its socket */
} failed;

/* For tls-port.h: whether the handshake is over, so that this is the error of one read or write. */
bool tls_error_is_plain(const mbedtls_ssl_context *ssl, int *error, int *last_error);
bool tls_error_is_plain(const mbedtls_ssl_context *ssl, int *error, int *last_error) {
#if MBEDTLS_VERSION_MAJOR >= 3
        bool over = mbedtls_ssl_is_handshake_over((mbedtls_ssl_context *) ssl);
#else
        bool over = ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER;
#endif

        if (over && *error < 0 && *error > ERRNO_LAST)
                *error = *last_error = -*error;
        if (!over && *error < 0 && *error != MBEDTLS_ERR_SSL_CONN_EOF && ssl->MBEDTLS_PRIVATE(p_bio)) {
                failed.ssl = ssl;
                failed.place = ssl->MBEDTLS_PRIVATE(p_bio); /* NULL: it is closed, and has no handshake either */
                failed.socket = *failed.place;
        }
        return over;
}

/* Stands for mbedtls_ssl_free(). After a handshake that has failed the program's close() would find no socket to close,
 * and the next collection may be far: the peer would wait for us, and a server keep a descriptor for whoever knocks. It
 * gets it back; reads and writes have the error of the handshake (last_error) from then on. Closing it here would be
 * too early: the peer may not have read yet why. */
void tls_connection_free(mbedtls_ssl_context *ssl);
void tls_connection_free(mbedtls_ssl_context *ssl) {
        bool of_failed = failed.ssl == ssl;

        failed.ssl = NULL;
        mbedtls_ssl_free(ssl);
        if (of_failed)
                *failed.place = failed.socket;
}

/* Stands for mbedtls_ssl_read(): a peer that has said that nothing more comes has said so for good. Most close the
 * socket then, which is there to be read again; one that waits for our close() would never be heard by asyncio, which
 * asks once more after the last bytes. */
int tls_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t size);
int tls_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t size) {
        int r = MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;

        /* A message that is kept is something to read for poll(); mbedtls itself keeps none but of the handshake. */
        if (!ssl->MBEDTLS_PRIVATE(keep_current_message) ||
            ssl->MBEDTLS_PRIVATE(in_msgtype) != MBEDTLS_SSL_MSG_ALERT)
                r = mbedtls_ssl_read(ssl, buf, size);
        if (r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
                ssl->MBEDTLS_PRIVATE(keep_current_message) = 1;
        return r;
}

/* Stands for mbedtls_ssl_get_ciphersuite(), which has no answer before the handshake and after close(). */
const char *tls_ciphersuite_get(const mbedtls_ssl_context *ssl);
const char *tls_ciphersuite_get(const mbedtls_ssl_context *ssl) {
        const char *name = mbedtls_ssl_get_ciphersuite(ssl);

        if (!name)
                mp_raise_OSError(MP_ENOTCONN);
        return name;
}

/* Stands for mp_load_method(), of the socket that close() has let go of. */
void tls_load_method(mp_obj_t base, qstr attr, mp_obj_t *dest);
void tls_load_method(mp_obj_t base, qstr attr, mp_obj_t *dest) {
        if (base == MP_OBJ_NULL)
                mp_raise_OSError(MP_EBADF);
        mp_load_method(base, attr, dest);
}

/* ---- names of errors ---- */

#define NAME(code) { code, #code }

/* Those of mbedtls 2.28 (Debian 12) and of 3.6. The first byte is the layer, the second a detail of it. */
static const struct {
        int code;
        const char *name;
} error_names[] = {
        NAME(MBEDTLS_ERR_SSL_ALLOC_FAILED),
        NAME(MBEDTLS_ERR_SSL_BAD_CONFIG),
        NAME(MBEDTLS_ERR_SSL_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL),
        NAME(MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_CLIENT_RECONNECT),
        NAME(MBEDTLS_ERR_SSL_CONN_EOF),
        NAME(MBEDTLS_ERR_SSL_COUNTER_WRAPPING),
        NAME(MBEDTLS_ERR_SSL_EARLY_MESSAGE),
        NAME(MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE),
        NAME(MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE),
        NAME(MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_INTERNAL_ERROR),
        NAME(MBEDTLS_ERR_SSL_INVALID_MAC),
        NAME(MBEDTLS_ERR_SSL_INVALID_RECORD),
        NAME(MBEDTLS_ERR_SSL_NON_FATAL),
        NAME(MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE),
        NAME(MBEDTLS_ERR_SSL_NO_RNG),
        NAME(MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY),
        NAME(MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH),
        NAME(MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED),
        NAME(MBEDTLS_ERR_SSL_TIMEOUT),
        NAME(MBEDTLS_ERR_SSL_UNEXPECTED_CID),
        NAME(MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE),
        NAME(MBEDTLS_ERR_SSL_UNEXPECTED_RECORD),
        NAME(MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY),
        NAME(MBEDTLS_ERR_SSL_VERSION_MISMATCH),
        NAME(MBEDTLS_ERR_SSL_WAITING_SERVER_HELLO_RENEGO),
        NAME(MBEDTLS_ERR_X509_ALLOC_FAILED),
        NAME(MBEDTLS_ERR_X509_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_X509_BUFFER_TOO_SMALL),
        NAME(MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT),
        NAME(MBEDTLS_ERR_X509_CERT_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_X509_FATAL_ERROR),
        NAME(MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE),
        NAME(MBEDTLS_ERR_X509_FILE_IO_ERROR),
        NAME(MBEDTLS_ERR_X509_INVALID_ALG),
        NAME(MBEDTLS_ERR_X509_INVALID_DATE),
        NAME(MBEDTLS_ERR_X509_INVALID_EXTENSIONS),
        NAME(MBEDTLS_ERR_X509_INVALID_FORMAT),
        NAME(MBEDTLS_ERR_X509_INVALID_NAME),
        NAME(MBEDTLS_ERR_X509_INVALID_SERIAL),
        NAME(MBEDTLS_ERR_X509_INVALID_SIGNATURE),
        NAME(MBEDTLS_ERR_X509_INVALID_VERSION),
        NAME(MBEDTLS_ERR_X509_SIG_MISMATCH),
        NAME(MBEDTLS_ERR_X509_UNKNOWN_OID),
        NAME(MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG),
        NAME(MBEDTLS_ERR_X509_UNKNOWN_VERSION),
        NAME(MBEDTLS_ERR_PK_ALLOC_FAILED),
        NAME(MBEDTLS_ERR_PK_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE),
        NAME(MBEDTLS_ERR_PK_FILE_IO_ERROR),
        NAME(MBEDTLS_ERR_PK_INVALID_ALG),
        NAME(MBEDTLS_ERR_PK_INVALID_PUBKEY),
        NAME(MBEDTLS_ERR_PK_KEY_INVALID_FORMAT),
        NAME(MBEDTLS_ERR_PK_KEY_INVALID_VERSION),
        NAME(MBEDTLS_ERR_PK_PASSWORD_MISMATCH),
        NAME(MBEDTLS_ERR_PK_PASSWORD_REQUIRED),
        NAME(MBEDTLS_ERR_PK_SIG_LEN_MISMATCH),
        NAME(MBEDTLS_ERR_PK_TYPE_MISMATCH),
        NAME(MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE),
        NAME(MBEDTLS_ERR_PK_UNKNOWN_PK_ALG),
        NAME(MBEDTLS_ERR_RSA_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_RSA_INVALID_PADDING),
        NAME(MBEDTLS_ERR_RSA_KEY_CHECK_FAILED),
        NAME(MBEDTLS_ERR_RSA_KEY_GEN_FAILED),
        NAME(MBEDTLS_ERR_RSA_OUTPUT_TOO_LARGE),
        NAME(MBEDTLS_ERR_RSA_PRIVATE_FAILED),
        NAME(MBEDTLS_ERR_RSA_PUBLIC_FAILED),
        NAME(MBEDTLS_ERR_RSA_RNG_FAILED),
        NAME(MBEDTLS_ERR_RSA_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_ECP_ALLOC_FAILED),
        NAME(MBEDTLS_ERR_ECP_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_ECP_BUFFER_TOO_SMALL),
        NAME(MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE),
        NAME(MBEDTLS_ERR_ECP_INVALID_KEY),
        NAME(MBEDTLS_ERR_ECP_RANDOM_FAILED),
        NAME(MBEDTLS_ERR_ECP_SIG_LEN_MISMATCH),
        NAME(MBEDTLS_ERR_ECP_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_ASN1_ALLOC_FAILED),
        NAME(MBEDTLS_ERR_ASN1_BUF_TOO_SMALL),
        NAME(MBEDTLS_ERR_ASN1_INVALID_DATA),
        NAME(MBEDTLS_ERR_ASN1_INVALID_LENGTH),
        NAME(MBEDTLS_ERR_ASN1_LENGTH_MISMATCH),
        NAME(MBEDTLS_ERR_ASN1_OUT_OF_DATA),
        NAME(MBEDTLS_ERR_ASN1_UNEXPECTED_TAG),
#if MBEDTLS_VERSION_MAJOR < 3
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_REQUEST),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_VERIFY),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CHANGE_CIPHER_SPEC),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE_CS),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE_RP),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_FINISHED),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_NEW_SESSION_TICKET),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO_DONE),
        NAME(MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE),
        NAME(MBEDTLS_ERR_SSL_CERTIFICATE_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_CERTIFICATE_TOO_LARGE),
        NAME(MBEDTLS_ERR_SSL_COMPRESSION_FAILED),
        NAME(MBEDTLS_ERR_SSL_INVALID_VERIFY_HASH),
        NAME(MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN),
        NAME(MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE),
        NAME(MBEDTLS_ERR_SSL_PEER_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_SSL_UNKNOWN_CIPHER),
        NAME(MBEDTLS_ERR_RSA_UNSUPPORTED_OPERATION),
#else
        NAME(MBEDTLS_ERR_SSL_BAD_CERTIFICATE),
        NAME(MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION),
        NAME(MBEDTLS_ERR_SSL_CACHE_ENTRY_NOT_FOUND),
        NAME(MBEDTLS_ERR_SSL_DECODE_ERROR),
        NAME(MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE),
        NAME(MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER),
        NAME(MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL),
        NAME(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET),
        NAME(MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME),
        NAME(MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION),
        NAME(MBEDTLS_ERR_PK_BUFFER_TOO_SMALL),
#endif
};

static const char *error_name(int code) {
        for (size_t i = 0; i < ELEMENTSOF(error_names); i++)
                if (error_names[i].code == code)
                        return error_names[i].name;
        return NULL;
}

/* Stands for mbedtls_strerror(), whose texts change from version to version and are not those that
 * programs for microcontrollers know. */
void tls_error_name(int code, char *buf, size_t size);
void tls_error_name(int code, char *buf, size_t size) {
        int high = -(-code & 0xff80), low = -(-code & 0x7f);
        const char *high_name = error_name(high), *low_name = error_name(low);

        if (error_name(code))
                (void) snprintf(buf, size, "%s", error_name(code));
        else if (high_name && low_name)
                (void) snprintf(buf, size, "%s+%s", high_name, low_name);
        else
                mbedtls_strerror(code, buf, size);
}

/* ---- whom the host trusts ---- */

static int read_all(int fd, char *buf, size_t size) {
        for (size_t have = 0; have < size;) {
                ssize_t n = read(fd, buf + have, size - have);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO; /* it was cut meanwhile */
                have += (size_t) n;
        }
        return 0;
}

/* _board.ca_certificates(): whom this host trusts, PEM. The flash directory has no such file, the
 * host's files cannot be seen from there. */
static mp_obj_t tls_ca_certificates(void) {
        struct stat st = {};
        vstr_t pem;
        int fd, r;

        fd = open(CA_CERTIFICATES, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                mp_raise_OSError(errno);
        r = fstat(fd, &st) < 0                                        ? errno
            : !S_ISREG(st.st_mode) || st.st_size > CA_CERTIFICATES_MAX ? EFBIG
                                                                      : 0;
        safe_close(fd);
        if (r != 0)
                mp_raise_OSError(r);
        vstr_init_len(&pem, (size_t) st.st_size); /* may raise: no descriptor is open */
        fd = open(CA_CERTIFICATES, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : read_all(fd, pem.buf, pem.len);
        safe_close(fd);
        if (r < 0)
                mp_raise_OSError(-r);
        return mp_obj_new_bytes_from_vstr(&pem);
}
MP_DEFINE_CONST_FUN_OBJ_0(tls_ca_certificates_obj, tls_ca_certificates);
