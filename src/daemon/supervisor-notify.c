/* SPDX-License-Identifier: MIT */
/* Telling the owner, [notify]: events of the journal go to a command and to a webhook, each through a queue
 * of its own. What cannot be told now is told later; nothing waits for it, and a flood of one kind of event
 * does not hide another. What waits stands in a file of the state directory, from the first failure on and at a
 * stop, so that neither a restart nor a reboot of the host loses it: told once more rather than not at all. */
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/action.h"
#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "util/durable-file.h"
#include "util/io.h"
#include "util/log.h"
#include "util/token-bucket.h"
#include "util/words.h"

#define KEPT "notify-queue" /* JSON: {verb: [message, …]} */
#define KEPT_MAX (1024u * 1024)
#define STOP_USEC (2 * USEC_PER_SEC) /* a stop waits for the disk so long */
#define QUEUE_MAX 32u
#define EVENT_BURST 5u /* of one kind, then one each: */
#define EVENT_INTERVAL_USEC (10 * USEC_PER_MINUTE)
#define RETRY_MIN_USEC (10 * USEC_PER_SEC)
#define RETRY_MAX_USEC (10 * USEC_PER_MINUTE)

typedef struct Channel {
        struct Notify *notify;
        ActionVerb verb;
        json_t *queue[QUEUE_MAX]; /* the oldest first */
        size_t n;
        unsigned n_missed;        /* not told, since the last that was */
        bool complained;          /* that it fails */
        Action *action;           /* tells queue[0] */
        sd_event_source *timer;   /* when to do so, or again */
        uint64_t retry_usec;
} Channel;

struct Notify {
        Supervisor *s;
        Channel channels[2];
        bool kept;             /* something stands in the file */
        TokenBucket buckets[JOURNAL_EVENT_MAX];
};

static bool is_wanted(const Channel *c) {
        const Config *config = &c->notify->s->config;

        return !streq(c->verb == ACTION_COMMAND ? config->notify.command : config->notify.url, "none");
}

static void forget_first(Channel *c) {
        json_decref(c->queue[0]);
        memmove(c->queue, c->queue + 1, --c->n * sizeof *c->queue);
}

/* ---- what outlives us ---- */

static DurableFile kept_file = DURABLE_FILE(KEPT, 0600);

static char *queues_to_text(const struct Notify *n) {
        _cleanup_(json_decrefp) json_t *all = json_object();
        size_t waiting = 0;

        for (size_t i = 0; i < ELEMENTSOF(n->channels); i++) {
                const Channel *c = &n->channels[i];
                json_t *queue = json_array();

                for (size_t k = 0; k < c->n; k++)
                        (void) json_array_append(queue, c->queue[k]);
                (void) json_object_set_new(all, action_verb_to_string(c->verb), queue);
                waiting += c->n;
        }
        return waiting > 0 ? json_dumps(all, JSON_COMPACT) : NULL;
}

/* stop: wait for the disk, a little. */
static void keep(struct Notify *n, bool stop) {
        _cleanup_free_ char *text = queues_to_text(n);
        int r;

        if (!text && !n->kept)
                return;
        n->kept = text;
        r = stop ? durable_file_write(&kept_file, n->s->state_dir_fd, text, STOP_USEC)
                 : durable_file_write_soon(&kept_file, n->s->state_dir_fd, text, -EBADF);
        if (r < 0)
                log_warning_errno(r, "What the owner was not told yet is not kept over a restart: %m");
}

static void recall_channel(Channel *c, const json_t *queue) {
        const json_t *message;
        size_t i;

        json_array_foreach(queue, i, message)
                if (c->n < QUEUE_MAX && json_is_string(json_object_get(message, "event")))
                        c->queue[c->n++] = json_deep_copy(message);
}

/* As an earlier run left them: before any of ours. */
static void recall(struct Notify *n) {
        _cleanup_(json_decrefp) json_t *all = NULL;
        _cleanup_free_ char *text = NULL;
        int r = read_file(n->s->state_dir_fd, KEPT, KEPT_MAX, &text, NULL);

        if (r == -ENOENT)
                return;
        n->kept = true;
        all = r >= 0 ? json_loads(text, 0, NULL) : NULL;
        if (!json_is_object(all)) {
                log_warning("%s in the state directory cannot be read: what the owner was not told before the last "
                            "stop is not told.", KEPT);
                keep(n, false); /* away with it */
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(n->channels); i++)
                recall_channel(&n->channels[i], json_object_get(all, action_verb_to_string(n->channels[i].verb)));
}

/* ---- telling ---- */

static void send_soon(Channel *c, uint64_t usec) {
        (void) sd_event_source_set_time_relative(c->timer, usec);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void complain(Channel *c, bool again, const char *why) {
        if (!c->complained)
                journal_log(JOURNAL_NOTIFY_FAILED, NULL, "Failed to tell the owner: %s. %s", why,
                            again ? "Trying again from time to time; events wait."
                                  : "This event is not told; `mpyctl notify` tries it once more.");
        c->complained = true;
}

static void on_told(void *userdata, ActionResult result, const char *why) {
        Channel *c = userdata;

        c->action = action_free(c->action);
        if (result == ACTION_AGAIN) {
                complain(c, true, why);
                send_soon(c, c->retry_usec);
                c->retry_usec = MIN(c->retry_usec * 2, RETRY_MAX_USEC);
                if (!c->notify->kept)
                        keep(c->notify, false);
                return;
        }
        if (result == ACTION_OK) {
                if (c->complained)
                        log_info("The owner can be told again (%s).", action_verb_to_string(c->verb));
                c->complained = false;
                c->n_missed = 0;
        } else
                complain(c, false, why);
        c->retry_usec = RETRY_MIN_USEC;
        forget_first(c);
        if (c->n > 0)
                send_soon(c, 0);
        else if (c->notify->kept)
                keep(c->notify, false);
}

static int on_send(sd_event_source *source, uint64_t usec, void *userdata) {
        Channel *c = userdata;
        ActionDoor door = supervisor_action_door(c->notify->s);
        char why[160];
        int r;

        if (c->action)
                return 0;
        while (!is_wanted(c) && c->n > 0) /* it was, when they came */
                forget_first(c);
        if (c->n == 0) {
                if (c->notify->kept)
                        keep(c->notify, false);
                return 0;
        }
        (void) json_object_set_new(c->queue[0], "missed", json_integer(c->n_missed));
        r = action_start(&c->action, c->notify->s->event, &door, c->verb, c->queue[0], on_told, c);
        if (r < 0) {
                (void) snprintf(why, sizeof why, "mpyd-action cannot be asked (%s)%s",
                                strerrordesc_np(-r) ?: "?",
                                door.socket && r != -EMSGSIZE ? "; systemctl start mpyd-action.socket" : "");
                on_told(c, r == -EMSGSIZE ? ACTION_FAILED : ACTION_AGAIN, why);
        }
        return 0;
}

static void enqueue(Channel *c, const json_t *message, bool passes) {
        json_t *copy;

        if (!is_wanted(c))
                return;
        copy = passes ? json_deep_copy(message) : NULL;
        if (!copy) {
                c->n_missed++;
                return;
        }
        if (c->n == QUEUE_MAX) { /* the first one may be under way: it stays */
                json_decref(c->queue[1]);
                memmove(c->queue + 1, c->queue + 2, (--c->n - 1) * sizeof *c->queue);
                c->n_missed++;
        }
        c->queue[c->n++] = copy;
        if (c->n == 1)
                send_soon(c, 0);
        else if (c->notify->kept) /* it joins those that wait for a network, say */
                keep(c->notify, false);
}

static json_t *describe(JournalEvent e, const char *const fields[], const char *text) {
        json_t *message = json_object(), *more = json_object();
        char host[65] = "", when[32];
        struct timespec ts;
        struct tm tm;

        (void) gethostname(host, sizeof host - 1);
        (void) clock_gettime(CLOCK_REALTIME, &ts);
        (void) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&ts.tv_sec, &tm));
        (void) json_object_set_new(message, "event", json_string(journal_event_to_string(e)));
        (void) json_object_set_new(message, "message", json_string(text));
        (void) json_object_set_new(message, "host", json_string(host));
        (void) json_object_set_new(message, "time", json_string(when));
        for (const char *const *f = fields; f && *f; f += 2)
                if (f[1])
                        (void) json_object_set_new(more, f[0], json_string(f[1]));
        (void) json_object_set_new(message, "fields", more);
        return message;
}

static void on_event(void *userdata, JournalEvent e, const char *const fields[], const char *text) {
        struct Notify *n = userdata;
        bool passes;
        json_t *message;

        /* That the owner cannot be told is not told them. */
        if (e == JOURNAL_NOTIFY_FAILED ||
            (e != JOURNAL_NOTIFY_TEST &&
             !words_match(n->s->config.notify.events, journal_event_to_string(e))))
                return;
        passes = token_bucket_available(&n->buckets[e], now_usec(CLOCK_MONOTONIC)) > 0;
        if (passes)
                (void) token_bucket_take(&n->buckets[e], now_usec(CLOCK_MONOTONIC));
        message = describe(e, fields, text);
        for (size_t i = 0; i < ELEMENTSOF(n->channels); i++)
                enqueue(&n->channels[i], message, passes);
        json_decref(message);
}

ActionDoor supervisor_action_door(const Supervisor *s) {
        return (ActionDoor) {
                .socket = service_managed(s->service) ? ACTION_SOCKET : NULL,
                .executable = s->options.action_path,
                .config_path = s->options.config_path,
                .state_dir = s->options.state_dir,
        };
}

int supervisor_notify_test(Supervisor *s, const char *who, const char *text) {
        bool wanted = false;

        for (size_t i = 0; i < ELEMENTSOF(s->notify->channels); i++) {
                Channel *c = &s->notify->channels[i];

                wanted |= is_wanted(c);
                c->complained = false; /* whoever tries it wants to know */
                c->retry_usec = RETRY_MIN_USEC;
                if (c->n > 0 && !c->action)
                        send_soon(c, 0);
        }
        if (!wanted)
                return -ENOENT;
        journal_log(JOURNAL_NOTIFY_TEST, NULL, "%s asks to tell the owner: %s", who,
                    *text ? text : "this is a test");
        return 0;
}

int supervisor_notify_new(Supervisor *s) {
        static const ActionVerb verbs[] = { ACTION_COMMAND, ACTION_WEBHOOK };
        struct Notify *n = calloc(1, sizeof *n);

        if (!n)
                return log_oom();
        s->notify = n;
        n->s = s;
        for (size_t i = 0; i < ELEMENTSOF(n->buckets); i++)
                token_bucket_init(&n->buckets[i], EVENT_BURST, EVENT_INTERVAL_USEC,
                                  now_usec(CLOCK_MONOTONIC));
        for (size_t i = 0; i < ELEMENTSOF(n->channels); i++) {
                Channel *c = &n->channels[i];
                int r = sd_event_add_time(s->event, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_send, c);

                if (r < 0)
                        return log_error_errno(r, "Failed to make a timer: %m");
                (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
                c->notify = n;
                c->verb = verbs[i];
                c->retry_usec = RETRY_MIN_USEC;
        }
        recall(n);
        for (size_t i = 0; i < ELEMENTSOF(n->channels); i++)
                if (n->channels[i].n > 0)
                        send_soon(&n->channels[i], 0);
        journal_set_watch(on_event, n);
        return 0;
}

void supervisor_notify_done(Supervisor *s) {
        if (!s->notify)
                return;
        journal_set_watch(NULL, NULL);
        keep(s->notify, true);
        for (size_t i = 0; i < ELEMENTSOF(s->notify->channels); i++) {
                Channel *c = &s->notify->channels[i];

                sd_event_source_disable_unref(c->timer);
                c->action = action_free(c->action);
                while (c->n > 0)
                        forget_first(c);
        }
        s->notify = (free(s->notify), NULL);
}
