/* SPDX-License-Identifier: MIT */
/* The webhook. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>

#include "action/action.h"
#include "util/macros.h"

#define CONNECT_TIMEOUT_SEC 10L
#define BODY_MAX 4096u /* of an answer; it is not looked at */

static size_t discard(char *data, size_t size, size_t n, void *userdata) {
        size_t *left = userdata;

        if (n > *left)
                return 0; /* ends the transfer */
        *left -= n;
        return n;
}

static bool set_options(CURL *curl, const char *url, const char *body, struct curl_slist *headers,
                        size_t *left, char error[static CURL_ERROR_SIZE]) {
        return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_USERAGENT, "mpyd/" MPYD_VERSION) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long) ACTION_TIMEOUT_SEC) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEDATA, left) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK;
}

/* What trying again cannot mend. */
static bool is_mistake(CURLcode code) {
        return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
               code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

static ActionResult judge(CURLcode code, long status, const char *error, char why[static WHY_MAX]) {
        if (status >= 200 && status < 300)
                return ACTION_OK;
        if (status == 0) {
                (void) snprintf(why, WHY_MAX, "[notify] url: %s", *error ? error : curl_easy_strerror(code));
                return is_mistake(code) ? ACTION_FAILED : ACTION_AGAIN;
        }
        (void) snprintf(why, WHY_MAX, "[notify] url: the server answers %ld", status);
        return status == 408 || status == 429 || status >= 500 ? ACTION_AGAIN : ACTION_FAILED;
}

ActionResult post_webhook(const char *url, const json_t *request, char why[static WHY_MAX]) {
        json_t *message = json_deep_copy(request);
        struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
        CURL *curl = curl_easy_init();
        char error[CURL_ERROR_SIZE] = "";
        ActionResult result = ACTION_AGAIN;
        size_t left = BODY_MAX;
        char *body;

        (void) json_object_del(message, "verb");
        body = json_dumps(message, JSON_COMPACT);
        if (curl && headers && body && set_options(curl, url, body, headers, &left, error)) {
                CURLcode code = curl_easy_perform(curl);
                long status = 0;

                (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
                result = judge(code, status, error, why);
        } else
                (void) snprintf(why, WHY_MAX, "[notify] url: no memory for the request");
        curl_easy_cleanup(curl);
        curl_slist_free_all(headers);
        json_decref(message);
        free(body);
        return result;
}
