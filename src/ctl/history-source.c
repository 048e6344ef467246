/* SPDX-License-Identifier: MIT */
/* Pages of records over the control bus or out of the database file. */
#include "ctl/history-source.h"

#include <jansson.h>
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/style.h"
#include "mpyd/control.h"

#define PAGE 200u

const char *reset_cause_words(ResetCause cause) {
        switch (cause) {
        case RESET_CAUSE_PWRON:
                return "power-on";
        case RESET_CAUSE_HARD:
                return "hard reset";
        case RESET_CAUSE_WDT:
                return "watchdog reset";
        case RESET_CAUSE_DEEPSLEEP:
                return "wake from deep sleep";
        case RESET_CAUSE_SOFT:
                return "soft reset";
        case RESET_CAUSE_MAX:
        case RESET_CAUSE_INVALID:
                break;
        }
        return "?";
}

/* One page. from_json takes over what it can; a row that does not parse fails the page. */
static int parse_page(const char *text, HistoryRecord **ret, size_t *ret_n) {
        json_t *array = json_loads(text, 0, NULL);
        HistoryRecord *resets;
        size_t n;
        int r = 0;

        if (!json_is_array(array)) {
                json_decref(array);
                return -EBADMSG;
        }
        n = json_array_size(array);
        resets = calloc(n + 1, sizeof(*resets));
        if (!resets)
                r = -ENOMEM;
        for (size_t i = 0; i < n && r >= 0; i++) {
                r = history_record_from_json(json_array_get(array, i), &resets[i]);
                if (r < 0)
                        n = i;
        }
        json_decref(array);
        if (r < 0) {
                if (resets)
                        history_records_free(resets, n);
                return r;
        }
        *ret = resets;
        *ret_n = n;
        return 0;
}

static int read_page(const Ctl *c, sd_bus *bus, const HistoryQuery *q, HistoryRecord **ret,
                     size_t *ret_n, sd_bus_error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        int r;

        if (!bus) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", c->state_dir, CONTROL_HISTORY_FILE) < 0)
                        return -ENOMEM;
                return history_read_offline(path, q, ret, ret_n);
        }
        r = bus_call(bus, "GetHistory", e, &reply, "xtxus", q->id, q->since_usec, q->before_id,
                     (uint32_t) q->limit, q->only);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        return r < 0 ? r : parse_page(text, ret, ret_n);
}

/* Appends page to *all; the page's array is freed, what its rows own moves. */
static int append_page(HistoryRecord **all, size_t *n_all, HistoryRecord *page, size_t n) {
        HistoryRecord *bigger = reallocarray(*all, *n_all + n + 1, sizeof(*bigger));

        if (!bigger) {
                history_records_free(page, n);
                return -ENOMEM;
        }
        if (n > 0)
                memcpy(bigger + *n_all, page, n * sizeof(*page));
        history_records_free(page, 0);
        *all = bigger;
        *n_all += n;
        return 0;
}

static int read_all(const Ctl *c, sd_bus *bus, const HistoryQuery *q, HistoryRecord **ret,
                    size_t *ret_n, sd_bus_error *e) {
        HistoryRecord *all = NULL;
        HistoryQuery page = *q;
        size_t n_all = 0;
        int r = 0;

        while (n_all < q->limit) {
                HistoryRecord *resets = NULL;
                size_t n = 0;

                page.limit = MIN(q->limit - (unsigned) n_all, PAGE);
                r = read_page(c, bus, &page, &resets, &n, e);
                if (r >= 0)
                        r = append_page(&all, &n_all, resets, n);
                if (r < 0 || n < page.limit)
                        break;
                page.before_id = all[n_all - 1].id;
        }
        if (r < 0) {
                if (all)
                        history_records_free(all, n_all);
                return r;
        }
        *ret = all;
        *ret_n = n_all;
        return 0;
}

int history_fetch_offline(const Ctl *c, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n) {
        return read_all(c, NULL, q, ret, ret_n, NULL);
}

static int explain_offline(const Ctl *c, int r) {
        if (r == -ENOENT || r == -ENOTDIR) {
                complain("mpyd is not running, and there is no history in %s.", c->state_dir);
                advise("is that its state directory? see --state-dir and MPYD_STATE_DIR");
                return CTL_EXIT_NOT_RUNNING;
        }
        if (r == -EACCES || r == -EPERM) {
                complain("mpyd is not running, and its history in %s is not readable for you.",
                         c->state_dir);
                advise("sudo mpyctl history");
                return CTL_EXIT_PERMISSION;
        }
        complain("Failed to read the history in %s: %s.", c->state_dir, strerror(-r));
        return CTL_EXIT_FAILURE;
}

int history_fetch(const Ctl *c, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n,
                  bool *ret_live) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect(c, &bus);
        if (r < 0 && !bus_is_absent(r))
                return bus_explain(c, r, NULL, "talk to mpyd");
        *ret_live = r >= 0;
        r = read_all(c, bus, q, ret, ret_n, &e);
        if (r >= 0)
                return CTL_EXIT_OK;
        return *ret_live ? bus_explain(c, r, &e, "read the history") : explain_offline(c, r);
}

int history_fetch_totals_live(sd_bus *bus, HistoryTotals *ret, sd_bus_error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *j = NULL;
        const char *text;
        int r;

        r = sd_bus_call_method(bus, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE, "GetTotals", e,
                               &reply, NULL);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        j = json_loads(text, 0, NULL);
        r = j ? history_totals_from_json(j, ret) : -EBADMSG;
        json_decref(j);
        return r;
}

int history_fetch_totals_offline(const Ctl *c, HistoryTotals *ret) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", c->state_dir, CONTROL_HISTORY_FILE) < 0)
                return -ENOMEM;
        return history_read_totals_offline(path, ret);
}

int history_fetch_totals(const Ctl *c, HistoryTotals *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect(c, &bus);
        if (r >= 0) {
                r = history_fetch_totals_live(bus, ret, &e);
                return r < 0 ? bus_explain(c, r, &e, "read the totals") : CTL_EXIT_OK;
        }
        if (!bus_is_absent(r))
                return bus_explain(c, r, NULL, "talk to mpyd");
        r = history_fetch_totals_offline(c, ret);
        return r < 0 ? explain_offline(c, r) : CTL_EXIT_OK;
}
