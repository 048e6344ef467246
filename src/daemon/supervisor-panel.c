/* SPDX-License-Identifier: MIT */
/* What a person finds at the board itself: the reset button and the status LED (SPEC 2.3, 4.19). The pure
 * functions of src/gpio decide what a press means and what the LED shows; here are their lines and timers. */
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "util/log.h"

#define DOUBLE_USEC USEC_PER_SEC /* a second press so soon after the boot that the first one caused */

static bool is_named(const char *line) {
        return !streq(line, "none");
}

static void _printf_(3, 4) tell_problem(Supervisor *s, char **problem, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (*problem || !text) /* told already */
                return;
        journal_log(JOURNAL_CONFIG_PROBLEM, NULL, "%s.", text);
        *problem = TAKE_PTR(text);
}

static void no_problem(char **problem) {
        free(*problem);
        *problem = NULL;
}

/* What cannot be had is told, once, and the board runs without. */
static void tell_taken(Supervisor *s, const char *key, const char *line, int r, const char *holder, char **problem) {
        if (r >= 0)
                no_problem(problem);
        else if (r == -ENOENT && status_led_is_sysfs(line))
                tell_problem(s, problem, "%s = %s: this machine has no such LED, going on without; ls "
                                         STATUS_LED_SYSFS " lists them", key, line);
        else if (r == -ENOENT)
                tell_problem(s, problem, "%s = %s: this machine has no such line, going on without; mpyctl pin lists "
                                         "them", key, line);
        else if (r == -EROFS)
                tell_problem(s, problem, "%s = %s: mpyd.service may not write there, going on without; systemctl edit "
                                         "mpyd, and add ReadWritePaths=%s to [Service]", key, line, line);
        else
                tell_problem(s, problem, "%s = %s: the line cannot be had%s%s, going on without: %s", key, line,
                             *holder ? ", it is used by " : "", holder, strerrordesc_np(-r));
}

static GpioRequest *take(Supervisor *s, const char *key, const char *line, char **problem) {
        char holder[GPIO_NAME_MAX];
        GpioRequest *q = NULL;

        tell_taken(s, key, line, gpio_request(s->gpio, line, GPIO_CONSUMER, &q, holder), holder, problem);
        return q;
}

static GpioPull pull_of(int bias, int active) {
        switch ((ConfigBias) bias) {
        case CONFIG_BIAS_UP:
                return GPIO_PULL_UP;
        case CONFIG_BIAS_DOWN:
                return GPIO_PULL_DOWN;
        case CONFIG_BIAS_NONE:
                return GPIO_PULL_NONE;
        case CONFIG_BIAS_AUTO:
                break;
        }
        return active ? GPIO_PULL_DOWN : GPIO_PULL_UP;
}

GpioRequest *supervisor_panel_button(Supervisor *s, const char *key, const char *line, int bias, int active,
                                     GpioOnEdge cb, char **problem) {
        const GpioSettings settings = {
                .direction = GPIO_DIRECTION_INPUT,
                .pull = pull_of(bias, active),
                .edges = GPIO_EDGE_RISING | GPIO_EDGE_FALLING,
        };
        GpioRequest *q;
        int r;

        if (!is_named(line))
                return NULL;
        q = take(s, key, line, problem);
        if (!q)
                return NULL;
        r = gpio_request_watch(q, s->event, &settings, cb, s);
        if (r >= 0)
                r = gpio_request_get(q);
        if (r >= 0)
                return q;
        tell_problem(s, problem, "%s = %s: the line cannot be watched, going on without: %s", key, line,
                     strerrordesc_np(-r));
        return gpio_request_free(q);
}

/* ---- the reset button ---- */

static bool button_pressed(const Supervisor *s, bool level) {
        return level == (s->config.reset.button_active != 0);
}

static void order(Supervisor *s, ResetKind kind, const char *detail) {
        if (s->life.state == LIFE_STUCK || s->life.state == LIFE_OFF || s->life.shutting_down)
                return;
        s->reset_by_button = true;
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_ORDER, .kind = kind, .detail = detail });
}

static void enter_safe_mode(Supervisor *s, const char *who) {
        int r = supervisor_safe_mode_ask(s, true, SAFE_MODE_DOOR_BUTTON, who);

        if (r < 0 && r != -EALREADY)
                log_warning_errno(r, "The reset button cannot lead to safe mode now: %m");
}

static void look_at_button(Supervisor *s, bool level, uint64_t now) {
        ResetButtonVerdict v = reset_button_look(&s->reset_button, button_pressed(s, level), now);

        supervisor_set_timer(s->button_timer, v.wake_usec);
        switch (v.press) {
        case RESET_BUTTON_RESET:
                order(s, (ResetKind) s->config.reset.button_press, "the reset button was pressed");
                break;
        case RESET_BUTTON_SAFE_MODE_LONG:
                enter_safe_mode(s, "the reset button, held");
                break;
        case RESET_BUTTON_SAFE_MODE_DOUBLE:
                enter_safe_mode(s, "the reset button, pressed again during boot");
                break;
        case RESET_BUTTON_NONE:
        case RESET_BUTTON_PRESS_MAX:
        case RESET_BUTTON_PRESS_INVALID:
                break;
        }
}

static void on_button(void *userdata, bool level, uint64_t monotonic_usec) {
        look_at_button(userdata, level, monotonic_usec);
}

/* Nothing has changed for so long. */
static int on_button_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        int level = s->button ? gpio_request_get(s->button) : -ENODEV;

        if (level >= 0)
                look_at_button(s, level, now_usec(CLOCK_MONOTONIC));
        return 0;
}

/* At the start; and at a hard reset, for one that was not there or has gone: a chip on USB. */
static void take_button(Supervisor *s) {
        const ResetButtonLimits limits = {
                .debounce_usec = s->config.reset.button_debounce_usec,
                .long_usec = s->config.reset.button_long_usec,
                .double_usec = DOUBLE_USEC,
        };
        int level = s->button ? gpio_request_get(s->button) : -ENODEV;

        if (level >= 0)
                return;
        s->button = gpio_request_free(s->button);
        s->button = supervisor_panel_button(s, "[reset] button", s->config.reset.button,
                                            s->config.reset.button_bias, s->config.reset.button_active,
                                            on_button, &s->button_problem);
        level = s->button ? gpio_request_get(s->button) : -ENODEV;
        if (level >= 0) /* Limits are in order: the configuration sees to it. */
                (void) !reset_button_init(&s->reset_button, &limits, button_pressed(s, level),
                                          now_usec(CLOCK_MONOTONIC));
}

static int button_new(Supervisor *s) {
        int r = sd_event_add_time(s->event, &s->button_timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_button_timer, s);

        if (r >= 0) /* behind the edges that have come */
                r = sd_event_source_set_priority(s->button_timer, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->button_timer, SD_EVENT_OFF);
        if (r < 0)
                return log_error_errno(r, "Failed to make a timer: %m");
        take_button(s);
        return 0;
}

/* ---- the status LED ---- */

static LedState idle_state(const Supervisor *s) {
        if (s->life.next.safe_mode != SAFE_MODE_NONE)
                return LED_STATE_SAFE_MODE;
        if (console_in_use(s->console) || !s->main_ended)
                return LED_STATE_REPL;
        return s->main_result == STAGE_RESULT_EXCEPTION ? LED_STATE_EXCEPTION : LED_STATE_DONE;
}

static LedState led_state(const Supervisor *s) {
        LedState boot = supervisor_boot_led(s);

        if (boot >= 0)
                return boot;
        switch (s->life.state) {
        case LIFE_IDLE:
                return idle_state(s);
        case LIFE_WAITING:
        case LIFE_STUCK:
                return LED_STATE_TROUBLE;
        case LIFE_POWERING_ON:
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_STOPPING:
                return s->button && reset_button_in_window(&s->reset_button, now_usec(CLOCK_MONOTONIC))
                               ? LED_STATE_WINDOW
                               : LED_STATE_RUNNING;
        case LIFE_OFF:
        case LIFE_DEEP_SLEEP:
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
        return LED_STATE_OFF;
}

static void show(Supervisor *s) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        LedLook look = led_pattern_at(s->led_state, s->led_begin_usec, now);
        int r;

        if (!s->led)
                return;
        r = s->led_colours != (int) look.colours ? status_led_set(s->led, look.colours) : 0;
        if (r < 0) { /* it was taken out while it was lit: the next hard reset looks for it again */
                s->led = status_led_free(s->led);
                tell_taken(s, "[led] line", s->config.led.line, r, "", &s->led_problem);
                return;
        }
        s->led_colours = (int) look.colours;
        supervisor_set_timer(s->led_timer, look.wake_usec);
}

static int on_led_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;

        supervisor_panel_follow(s); /* the window for a second press ends by itself */
        show(s);
        return 0;
}

void supervisor_panel_follow(Supervisor *s) {
        LedState now;

        if (!s->led)
                return;
        now = led_state(s);
        if (now == s->led_state)
                return;
        s->led_state = now;
        s->led_begin_usec = now_usec(CLOCK_MONOTONIC);
        show(s);
}

static void take_led(Supervisor *s) {
        const StatusLedOptions options = {
                .where = s->config.led.line,
                .active_high = s->config.led.active,
                .consumer = GPIO_CONSUMER,
                .root_fd = s->host_root_fd,
        };
        char holder[GPIO_NAME_MAX];

        if (s->led || !s->led_timer)
                return;
        tell_taken(s, "[led] line", options.where, status_led_new(&s->led, s->gpio, &options, holder), holder,
                   &s->led_problem);
        s->led_colours = -1;
        s->led_state = LED_STATE_INVALID;
}

void supervisor_panel_give_led(Supervisor *s, const char *name) {
        if (!s->led || !status_led_has_line(s->led, name))
                return;
        s->led = status_led_free(s->led);
        supervisor_set_timer(s->led_timer, UINT64_MAX);
}

/* ---- both ---- */

void supervisor_panel_boot(Supervisor *s, ResetKind kind) {
        if (kind != RESET_KIND_SOFT)
                take_button(s);
        if (s->button)
                reset_button_on_boot(&s->reset_button, s->reset_by_button, now_usec(CLOCK_MONOTONIC));
        s->reset_by_button = false;
        s->main_ended = false;
        if (kind != RESET_KIND_SOFT)
                take_led(s); /* whatever the last program did with it */
}

void supervisor_panel_stage_end(Supervisor *s, BoardStage stage, StageResult result) {
        if (stage != BOARD_STAGE_MAIN)
                return;
        s->main_ended = true;
        s->main_result = result;
}

int supervisor_panel_new(Supervisor *s) {
        int r = button_new(s);

        if (r < 0 || !is_named(s->config.led.line))
                return r;
        r = sd_event_add_time(s->event, &s->led_timer, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_MSEC, on_led_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->led_timer, SD_EVENT_OFF);
        if (r < 0)
                return log_error_errno(r, "Failed to make a timer: %m");
        take_led(s);
        return 0;
}

void supervisor_panel_done(Supervisor *s) {
        s->led = status_led_free(s->led);
        s->button = gpio_request_free(s->button);
        s->led_timer = sd_event_source_disable_unref(s->led_timer);
        s->button_timer = sd_event_source_disable_unref(s->button_timer);
        no_problem(&s->button_problem);
        no_problem(&s->led_problem);
}
