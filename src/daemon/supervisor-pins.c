/* SPDX-License-Identifier: MIT */
/* Pins are latched here (SPEC 2.8, S3, S15, S16): a line that a board has asked for stays requested by the
 * supervisor, so that its level outlives the board's process. A soft reset hands it on as it is, with no
 * edge detected and none left to be read; a hard reset, and everything else that ends a life, sets it to
 * what is safe first and lets go of it. Kernels may leave a released output driven: a relay must not stay
 * on. At a hand-over (an upgrade) systemd keeps the descriptors, and with them the levels, for the next run. */
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "gpio/pin-policy.h"
#include "gpio/pulse.h"
#include "util/io.h"
#include "util/log.h"

#define MARK "pins" /* in the run directory: names of lines, one a line */
#define MARK_MAX (64u * 1024)
#define PINS_MAX 128u /* that one board may hold: a loop over all names is bounded */

struct HeldPin {
        GpioRequest *request;
        unsigned wake_edges;  /* that end the deep sleep which comes, or is there */
        char name[GPIO_NAME_MAX];
};

/* Which lines are held stands in the run directory, so that the run after a crash knows what was left
 * driven. */
void supervisor_pins_note(const Supervisor *s) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        int r = f ? 0 : -ENOMEM;

        if (f) {
                for (size_t i = 0; i < s->n_pins; i++)
                        fprintf(f, "%s\n", s->pins[i].name);
                for (size_t i = 0; i < s->n_pulses; i++)
                        fprintf(f, "%s\n", gpio_pulse_line(s->pulses[i]));
                r = fclose(f) == 0 ? 0 : -ENOMEM;
        }
        if (r >= 0)
                r = replace_file(s->run_dir_fd, MARK, text);
        if (r < 0)
                log_debug("Failed to note which lines are held, ignoring: %s", strerrordesc_np(-r) ?: "?");
}

static struct HeldPin *find(Supervisor *s, const char *name) {
        for (size_t i = 0; i < s->n_pins; i++)
                if (streq(s->pins[i].name, name))
                        return &s->pins[i];
        return NULL;
}

static struct HeldPin *add(Supervisor *s, GpioRequest *q, const char *name) {
        struct HeldPin *bigger = reallocarray(s->pins, s->n_pins + 1, sizeof *bigger), *p;

        if (!bigger)
                return NULL;
        s->pins = bigger;
        p = &s->pins[s->n_pins++];
        *p = (struct HeldPin) { .request = q };
        (void) snprintf(p->name, sizeof p->name, "%s", name);
        return p;
}

/* Also for one that has a safe level, which is held while no board wants it. */
static int hold(Supervisor *s, const char *name, struct HeldPin **ret, char holder[static GPIO_NAME_MAX]) {
        struct HeldPin *p = find(s, name);
        GpioRequest *q;
        int r;

        holder[0] = '\0';
        if (p) {
                *ret = p;
                return 0;
        }
        if (s->n_pins >= PINS_MAX)
                return -EMFILE;
        supervisor_panel_give_led(s, name);
        r = gpio_request(s->gpio, name, GPIO_CONSUMER, &q, holder);
        if (r < 0)
                return r;
        p = add(s, q, name);
        if (!p) {
                gpio_request_free(q);
                return -ENOMEM;
        }
        supervisor_pins_note(s);
        *ret = p;
        return 0;
}

static void let_go(Supervisor *s, struct HeldPin *p) {
        gpio_request_free(p->request);
        *p = s->pins[--s->n_pins];
}

/* ---- the board asks ---- */

static int grant(Supervisor *s, const char *name, LinkPinLine *answer, char text[static LINK_PIN_TEXT_MAX + 1]) {
        char holder[GPIO_NAME_MAX];
        struct HeldPin *p;
        GpioLineInfo info;
        int r;

        if (!pin_allowed(s->config.pins.allow, s->config.pins.reserve, name)) {
                (void) snprintf(text, LINK_PIN_TEXT_MAX, "[pins] of mpyd.conf keeps %s from scripts", name);
                return -EPERM;
        }
        r = hold(s, name, &p, holder);
        if (r == -EBUSY)
                (void) snprintf(text, LINK_PIN_TEXT_MAX, "%s is used by %s", name, *holder ? holder : "another");
        else if (r == -EACCES || r == -EPERM)
                (void) snprintf(text, LINK_PIN_TEXT_MAX, "mpyd may not open the GPIO chips (group gpio)");
        if (r < 0)
                return r;
        r = gpio_request_info(p->request, &info);
        if (r < 0) { /* its chip was taken out: the next question looks for it anew */
                let_go(s, p);
                supervisor_pins_note(s);
                return r;
        }
        answer->direction = (uint32_t) info.settings.direction;
        answer->pull = (uint32_t) info.settings.pull;
        (void) snprintf(text, LINK_PIN_TEXT_MAX, "%s:%u", info.chip, info.offset);
        return gpio_request_open(p->request);
}

void supervisor_pins_ask(Supervisor *s, const LinkPin *m) {
        char name[GPIO_NAME_MAX], text[LINK_PIN_TEXT_MAX + 1] = "";
        LinkMessage answer = { .type = LINK_PIN_LINE, .pin_line = { .ticket = m->ticket } };
        int fd, r;

        (void) snprintf(name, sizeof name, "%.*s", (int) m->name_size, m->name);
        fd = grant(s, name, &answer.pin_line, text);
        if (fd < 0) {
                answer.pin_line.error = (uint32_t) -fd;
                log_debug("The board does not get line %s: %s", name, strerrordesc_np(-fd) ?: "?");
        }
        answer.pin_line.text = text;
        answer.pin_line.text_size = strlen(text);
        r = s->board ? board_process_send_fd(s->board, &answer, fd) : -ENOTCONN;
        if (r < 0)
                log_debug("The board does not take line %s: %s", name, strerrordesc_np(-r) ?: "?");
        safe_close(fd);
}

static void list_name(void *userdata, const GpioLineInfo *info) {
        pin_name_list_add(userdata, info->name);
}

/* Of lines that a script may ask for. A chip that comes or goes between two messages moves the others: then one is told
 * twice or missed. */
void supervisor_pins_tell_names(Supervisor *s, const LinkPinNames *m) {
        char buf[LINK_PIN_NAMES_MAX];
        PinNameList l = {
                .allow = s->config.pins.allow,
                .reserve = s->config.pins.reserve,
                .buf = buf,
                .buf_size = sizeof buf,
                .from = m->position,
        };
        int r = gpio_list(s->gpio, list_name, &l);

        if (r < 0)
                log_debug("The names of lines are not known: %s", strerrordesc_np(-r) ?: "?");
        supervisor_send(s, &(LinkMessage) {
                        .type = LINK_PIN_NAMES,
                        .pin_names = { m->ticket, l.full ? l.n : 0, buf, l.size },
                });
}

/* ---- deep sleep ---- */

void supervisor_pins_wake(Supervisor *s, const LinkPinWake *m) {
        char name[GPIO_NAME_MAX];
        struct HeldPin *p;

        (void) snprintf(name, sizeof name, "%.*s", (int) m->name_size, m->name);
        p = find(s, name);
        if (p) /* one that it does not have is no line of its */
                p->wake_edges = m->edges;
}

/* Behind the callback of the request, which the wake frees. */
static int on_wake(sd_event_source *source, void *userdata) {
        Supervisor *s = userdata;

        char detail[sizeof s->wake_detail]; /* the reset that follows begins another one */

        memcpy(detail, s->wake_detail, sizeof detail);
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_WAKE, .detail = detail });
        return 0;
}

static void on_wake_edge(void *userdata, bool level, uint64_t monotonic_usec) {
        Supervisor *s = userdata;

        (void) sd_event_source_set_enabled(s->wake_source, SD_EVENT_ONESHOT);
}

/* Edges that came while the board fell asleep have not been read: they wake it at once. */
static bool watch_for_wake(Supervisor *s, struct HeldPin *p) {
        GpioSettings settings = {
                .direction = GPIO_DIRECTION_INPUT,
                .edges = p->wake_edges & (GPIO_EDGE_RISING | GPIO_EDGE_FALLING),
        };
        GpioLineInfo info;
        int r = gpio_request_info(p->request, &info);

        if (r >= 0) {
                settings.pull = info.settings.pull;
                settings.debounce_usec = info.settings.debounce_usec;
                r = gpio_request_watch(p->request, s->event, &settings, on_wake_edge, s);
        }
        if (r < 0)
                log_warning_errno(r, "Line %s cannot end the deep sleep: %m", p->name);
        else { /* which of several it was is not told */
                size_t n = strlen(s->wake_detail);

                (void) snprintf(s->wake_detail + n, sizeof s->wake_detail - n, "%s%s", n ? " or " : "wake by ",
                                p->name);
        }
        if (r >= 0 && (p->wake_edges & LINK_PIN_WAKE_NOW))
                (void) sd_event_source_set_enabled(s->wake_source, SD_EVENT_ONESHOT);
        return r >= 0;
}

/* ---- resets ---- */

static void make_safe(Supervisor *s, struct HeldPin *p, int level) {
        GpioSettings settings = {
                .direction = level < 0 ? GPIO_DIRECTION_INPUT : GPIO_DIRECTION_OUTPUT,
                .value = level == 1,
        };
        int r = gpio_request_configure(p->request, &settings);

        if (r < 0)
                log_warning_errno(r, "Failed to set line %s to its safe state, going on: %m", p->name);
}

/* Lines with a level of their own are driven from the start on, whether or not a program wants them. */
static void drive_safe_levels(Supervisor *s) {
        const char *at = s->config.pins.safe_state;
        char name[GPIO_NAME_MAX], holder[GPIO_NAME_MAX];

        while (pin_next_safe(&at, name)) {
                struct HeldPin *p;
                int r;

                if (find(s, name))
                        continue; /* set already */
                r = hold(s, name, &p, holder);
                if (r < 0) {
                        log_warning_errno(r, "[pins] safe-state: failed to take line %s%s%s%s: %m", name,
                                          *holder ? " (used by " : "", holder, *holder ? ")" : "");
                        continue;
                }
                make_safe(s, p, pin_safe_level(s->config.pins.safe_state, name));
        }
}

/* At a hand-over the next run's board sees a soft reset, and the lines are its. */
static ResetKind kind_for_pins(const Supervisor *s, ResetKind kind) {
        return s->hands_over && s->life.shutting_down ? RESET_KIND_SOFT : kind;
}

void supervisor_pins_reset(Supervisor *s, ResetKind kind) {
        size_t before = s->n_pins;

        kind = kind_for_pins(s, kind);
        s->wake_detail[0] = '\0';
        if (kind != RESET_KIND_SOFT)
                supervisor_config_taken(s, CONFIG_TAKEN_AT_HARD_RESET);
        for (size_t i = s->n_pins; i-- > 0;) {
                struct HeldPin *p = &s->pins[i];
                int level = pin_safe_level(s->config.pins.safe_state, p->name), r;

                if (p->wake_edges != 0 && s->life.state == LIFE_DEEP_SLEEP && watch_for_wake(s, p))
                        continue;
                r = gpio_request_quiet(p->request);
                if (r < 0)
                        log_debug("Line %s does not answer any more: %s", p->name, strerrordesc_np(-r) ?: "?");
                else if (kind != RESET_KIND_SOFT)
                        make_safe(s, p, level);
                /* One whose chip was taken out is looked for anew when it is wanted again. */
                if (r < 0 || (kind != RESET_KIND_SOFT && level < 0))
                        let_go(s, p);
        }
        if (s->n_pins != before)
                supervisor_pins_note(s);
        if (kind != RESET_KIND_SOFT)
                drive_safe_levels(s);
}

/* ---- the operator looks ---- */

typedef struct Listing {
        Supervisor *supervisor;
        void (*each)(void *data, const GpioLineInfo *info, int level);
        void *data;
} Listing;

static void list_one(void *userdata, const GpioLineInfo *info) {
        const Listing *l = userdata;
        char place[2 * GPIO_NAME_MAX];
        int level = -ENODATA;

        if (*info->name)
                level = gpio_level(l->supervisor->gpio, info->name);
        if (level < 0) {
                (void) snprintf(place, sizeof place, "%s:%u", info->chip, info->offset);
                level = gpio_level(l->supervisor->gpio, place);
        }
        l->each(l->data, info, MAX(level, -1));
}

int supervisor_pins_list(Supervisor *s, void (*each)(void *data, const GpioLineInfo *info, int level), void *data) {
        return gpio_list(s->gpio, list_one, &(Listing) { s, each, data });
}

/* ---- life ---- */

/* By their order in the mark: a name may have a colon in it, which systemd's must not. */
static const char *stored_name(size_t i, char buf[static 16]) {
        (void) snprintf(buf, 16, "pin%u", (unsigned) i);
        return buf;
}

/* True when the run before has handed the line over and it is ours now, as it was. */
static bool adopt(Supervisor *s, const char *name, size_t i) {
        char stored[16];
        int fd = service_claim(s->service, stored_name(i, stored)), r;
        GpioRequest *q;

        if (fd < 0)
                return false;
        service_forget(s->service, stored); /* or it would be requested for ever */
        if (s->why.cause != RESET_CAUSE_SOFT) { /* a board that begins anew finds no lines driven */
                safe_close(fd);
                return false;
        }
        r = gpio_adopt(s->gpio, name, GPIO_CONSUMER, fd, &q);
        if (r < 0) {
                log_warning_errno(r, "Line %s was handed over and cannot be kept as it is: %m", name);
                return false;
        }
        if (add(s, q, name))
                return true;
        gpio_request_free(q);
        return false;
}

/* The service manager keeps them for the next run: not an instant passes in which nobody holds the line. */
static bool hand_over(Supervisor *s, const struct HeldPin *p, size_t i) {
        _cleanup_close_ int fd = gpio_request_open(p->request);
        char stored[16];

        if (fd < 0)
                return false;
        service_store(s->service, stored_name(i, stored), fd);
        return true;
}

/* A run that crashed could set nothing to what is safe, and kernels may leave released outputs driven. */
static void clean_up_after_crash(Supervisor *s) {
        _cleanup_free_ char *text = NULL;
        char *rest, holder[GPIO_NAME_MAX];
        size_t i = 0;

        if (read_file(s->run_dir_fd, MARK, MARK_MAX, &text, NULL) < 0)
                return;
        for (char *name = strtok_r(text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
                struct HeldPin p = {};

                if (adopt(s, name, i++))
                        continue;
                if (strlen(name) >= sizeof p.name || gpio_request(s->gpio, name, GPIO_CONSUMER, &p.request, holder) < 0)
                        continue; /* its chip, or who has taken it since, knows better */
                (void) snprintf(p.name, sizeof p.name, "%s", name);
                make_safe(s, &p, pin_safe_level(s->config.pins.safe_state, name));
                gpio_request_free(p.request);
        }
        if (s->n_pins == 0)
                (void) unlinkat(s->run_dir_fd, MARK, 0);
        else
                supervisor_pins_note(s);
}

int supervisor_pins_new(Supervisor *s) {
        GpioSource source = (GpioSource) s->config.gpio.source;
        int r;

        /* A service on a machine without GPIO has none; who tries mpyd out on one gets some to play with. */
        if (source == GPIO_SOURCE_AUTO && service_managed(s->service))
                source = GPIO_SOURCE_KERNEL;
        r = sd_event_add_defer(s->event, &s->wake_source, on_wake, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->wake_source, SD_EVENT_OFF);
        if (r < 0)
                return log_error_errno(r, "Failed to make an event source: %m");
        r = gpio_new(&s->gpio, s->event, source);
        if (r < 0)
                return log_error_errno(r, "Failed to prepare the GPIO lines: %m");
        clean_up_after_crash(s);
        return 0;
}

void supervisor_pins_done(Supervisor *s) {
        bool hands_over = s->hands_over && service_managed(s->service);

        if (hands_over && s->n_pins > 0)
                supervisor_pins_note(s); /* in this order they are stored */
        for (size_t i = s->n_pins; i-- > 0;) {
                if (!hands_over || !hand_over(s, &s->pins[i], i))
                        make_safe(s, &s->pins[i], pin_safe_level(s->config.pins.safe_state, s->pins[i].name));
                let_go(s, &s->pins[i]);
        }
        if (s->pins && !hands_over)
                supervisor_pins_note(s);
        free(s->pins);
        s->pins = NULL;
        s->wake_source = sd_event_source_disable_unref(s->wake_source);
        s->gpio = gpio_free(s->gpio);
}
