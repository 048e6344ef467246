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
#include <mbedtls/x509_crt.h>
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

/* ---- names of errors ---- */

#define NAME(code) { code, #code }

/* What mbedtls 2.28 and 3.6 both know. The first byte is the layer, the second a detail of it. */
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
        NAME(MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE),
        NAME(MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE),
        NAME(MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_HW_ACCEL_FAILED),
        NAME(MBEDTLS_ERR_SSL_INTERNAL_ERROR),
        NAME(MBEDTLS_ERR_SSL_INVALID_MAC),
        NAME(MBEDTLS_ERR_SSL_INVALID_RECORD),
        NAME(MBEDTLS_ERR_SSL_NON_FATAL),
        NAME(MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY),
        NAME(MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH),
        NAME(MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED),
        NAME(MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED),
        NAME(MBEDTLS_ERR_SSL_TIMEOUT),
        NAME(MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE),
        NAME(MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY),
        NAME(MBEDTLS_ERR_SSL_WAITING_SERVER_HELLO_RENEGO),
        NAME(MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT),
        NAME(MBEDTLS_ERR_X509_CERT_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_X509_FATAL_ERROR),
        NAME(MBEDTLS_ERR_X509_INVALID_DATE),
        NAME(MBEDTLS_ERR_X509_INVALID_FORMAT),
        NAME(MBEDTLS_ERR_PK_INVALID_ALG),
        NAME(MBEDTLS_ERR_PK_INVALID_PUBKEY),
        NAME(MBEDTLS_ERR_PK_KEY_INVALID_FORMAT),
        NAME(MBEDTLS_ERR_PK_TYPE_MISMATCH),
        NAME(MBEDTLS_ERR_RSA_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_RSA_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_ECP_BAD_INPUT_DATA),
        NAME(MBEDTLS_ERR_ECP_VERIFY_FAILED),
        NAME(MBEDTLS_ERR_ASN1_OUT_OF_DATA),
        NAME(MBEDTLS_ERR_ASN1_UNEXPECTED_TAG),
        NAME(MBEDTLS_ERR_ASN1_INVALID_LENGTH),
        NAME(MBEDTLS_ERR_ASN1_LENGTH_MISMATCH),
        NAME(MBEDTLS_ERR_ASN1_INVALID_DATA),
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
