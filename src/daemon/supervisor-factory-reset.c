/* SPDX-License-Identifier: MIT */
/* The factory reset as the daemon sees it: it is asked for (an operator, a button, the marker that a power cut
 * or an owner has left), mpyd-action does it while no board is there, and what came of it is told. And what it
 * has set aside is removed again when the disk gets full. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "mpyd/retained.h"
#include "util/log.h"

#define ROOM_FIRST_USEC (10 * USEC_PER_SEC) /* after a start, when there is enough else to do */
#define ROOM_EVERY_USEC USEC_PER_HOUR
#define ROOM_PERCENT 10u /* of the disk, or of its inodes: less than that is free */

void supervisor_factory_reset_want(Supervisor *s, FactoryResetErase erase, const char *who) {
        s->factory_reset.wanted = true;
        s->factory_reset.erase = erase;
        s->factory_reset.keep_config = false;
        (void) snprintf(s->factory_reset.who, sizeof s->factory_reset.who, "%s", who);
}

static void say(Supervisor *s, const char *how, const char *text) {
        (void) snprintf(s->factory_reset.result, sizeof s->factory_reset.result, "%s%s%s", how, *text ? ": " : "",
                        text);
}

static void tell(Supervisor *s, ActionResult result, const char *why) {
        char text[sizeof s->factory_reset.result];

        if (result == ACTION_OK) {
                say(s, "done", why);
                (void) snprintf(text, sizeof text, "asked for by %.90s%s%.270s", s->factory_reset.who,
                                *why ? "; " : "", why);
                journal_log(JOURNAL_FACTORY_RESET, NULL, "Factory reset: %s.", text);
                (void) history_add_event(s->history, journal_event_to_string(JOURNAL_FACTORY_RESET), text);
                return;
        }
        say(s, "failed", why);
        journal_log(JOURNAL_FACTORY_RESET_FAILED, NULL, "The factory reset that %s asked for has failed: %s. The "
                    "board boots with what is there.", s->factory_reset.who, why);
        (void) history_add_event(s->history, journal_event_to_string(JOURNAL_FACTORY_RESET_FAILED), why);
}

static bool has_sets(const Supervisor *s) {
        return s->state_dir_fd >= 0 && faccessat(s->state_dir_fd, FACTORY_RESET_SETS, F_OK, 0) == 0;
}

/* A board that has never been reset so is not looked at. */
static void look_for_room_in(Supervisor *s, uint64_t usec) {
        supervisor_set_timer(s->factory_reset.room_timer,
                             has_sets(s) ? now_usec(CLOCK_MONOTONIC) + usec : UINT64_MAX);
}

static void on_answer(void *userdata, ActionResult result, const char *why) {
        Supervisor *s = userdata;

        tell(s, result, why);
        s->factory_reset.action = action_free(s->factory_reset.action);
        if (result == ACTION_OK) {
                retained_clear(s->retained); /* nothing survives */
                supervisor_safe_mode_choose(s, SAFE_MODE_DOOR_NONE);
        }
        look_for_room_in(s, ROOM_FIRST_USEC);
        supervisor_boot_factory_reset_over(s);
}

static bool has_marker(const Supervisor *s) {
        return s->state_dir_fd >= 0 && faccessat(s->state_dir_fd, FACTORY_RESET_MARKER, F_OK, 0) == 0;
}

static int ask(Supervisor *s, ActionVerb verb, json_t *request, ActionDone done) {
        ActionDoor door = supervisor_action_door(s);

        return request ? action_start(&s->factory_reset.action, s->event, &door, verb, request, done, s) : -ENOMEM;
}

bool supervisor_factory_reset_begin(Supervisor *s) {
        bool wanted = s->factory_reset.wanted;
        json_t *request;
        char why[160];
        int r;

        s->factory_reset.wanted = false;
        if (!wanted && !has_marker(s))
                return false;
        if (!wanted)
                supervisor_factory_reset_want(s, FACTORY_RESET_ERASE_NEVER,
                                              "the file " FACTORY_RESET_MARKER " in the state directory");
        s->factory_reset.wanted = false;
        s->factory_reset.action = action_free(s->factory_reset.action); /* room is made another time */
        log_notice("Factory reset, asked for by %s.", s->factory_reset.who);
        request = json_pack("{s:s, s:s, s:b, s:b}", "state", s->options.state_dir, "erase",
                            factory_reset_erase_to_string(s->factory_reset.erase), "keep_config", s->factory_reset.keep_config,
                            "resume", !wanted);
        r = ask(s, ACTION_FACTORY_RESET, request, on_answer);
        json_decref(request);
        if (r >= 0) {
                say(s, "under way", "");
                return true;
        }
        (void) snprintf(why, sizeof why, "mpyd-action cannot be asked (%s)%s", strerrordesc_np(-r),
                        service_managed(s->service) ? "; is mpyd-action.socket active?" : "");
        tell(s, ACTION_FAILED, why);
        return false;
}

int supervisor_factory_reset_ask(Supervisor *s, bool wipe, bool keep_config, const char *who) {
        char detail[LIFE_DETAIL_MAX];

        if (s->life.state == LIFE_STUCK || s->life.state == LIFE_OFF || s->life.shutting_down ||
            s->boot.phase == BOOT_PHASE_FACTORY_RESET)
                return -EBUSY;
        supervisor_factory_reset_want(s, wipe ? FACTORY_RESET_ERASE_ALWAYS : FACTORY_RESET_ERASE_NEVER, who);
        s->factory_reset.keep_config = keep_config;
        say(s, "asked for", "");
        (void) snprintf(detail, sizeof detail, "factory reset asked for by %s", who);
        supervisor_dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_ORDER, .kind = RESET_KIND_HARD, .detail = detail,
                    });
        return 0;
}

/* ---- room ---- */

static bool is_short(uint64_t free, uint64_t all) {
        return all > 0 && free < all / 100 * ROOM_PERCENT;
}

static void on_room(void *userdata, ActionResult result, const char *why) {
        Supervisor *s = userdata;

        s->factory_reset.action = action_free(s->factory_reset.action);
        if (result == ACTION_OK)
                log_notice("The disk gets full: removed %s, which a factory reset had set aside.", why);
        else
                log_debug("No room was made: %s", why);
}

static int on_room_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        struct statvfs v;
        json_t *request;

        look_for_room_in(s, ROOM_EVERY_USEC);
        if (s->factory_reset.action || !has_sets(s) || fstatvfs(s->state_dir_fd, &v) < 0 ||
            !(is_short(v.f_bavail, v.f_blocks) || is_short(v.f_favail, v.f_files)))
                return 0;
        request = json_pack("{s:s}", "state", s->options.state_dir);
        if (ask(s, ACTION_MAKE_ROOM, request, on_room) < 0)
                log_debug("mpyd-action cannot be asked to make room, trying again later.");
        json_decref(request);
        return 0;
}

int supervisor_factory_reset_new(Supervisor *s) {
        int r = sd_event_add_time(s->event, &s->factory_reset.room_timer, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_SEC,
                                  on_room_timer, s);

        if (r < 0)
                return log_error_errno(r, "Failed to make a timer: %m");
        look_for_room_in(s, ROOM_FIRST_USEC);
        return 0;
}

void supervisor_factory_reset_done(Supervisor *s) {
        s->factory_reset.action = action_free(s->factory_reset.action);
        s->factory_reset.room_timer = sd_event_source_disable_unref(s->factory_reset.room_timer);
}
