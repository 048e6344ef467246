/* SPDX-License-Identifier: MIT */
/* The board's life as a table: every place it can be in × every event, with what must follow; stories
 * of whole lives; and long random walks. Rules that hold always are asserted after each single step. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>

#include "daemon/lifecycle.h"
#include "util/macros.h"
#include "util/parse.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC
#define FOREVER UINT64_MAX

static const LifeLimits limits = {
        .start_timeout_usec = 10 * SEC,
        .commit_timeout_usec = 500 * MSEC,
        .interrupt_timeout_usec = 2 * SEC,
        .abort_timeout_usec = 1 * SEC,
        .kill_timeout_usec = 5 * SEC,
        .backoff_min_usec = 1 * SEC,
        .backoff_max_usec = 60 * SEC,
        .burst = 3,
        .interval_usec = 1 * SEC,
};

/* ---- a life and the world around it, with the rules that always hold ---- */

typedef struct World {
        Life life;
        LifeNow now;
        bool process;      /* between SPAWN and EXITED or SPAWN_FAILED */
        bool booted;       /* this process was let in */
        uint64_t n_records;
        uint64_t n_crashes;
        LifeActions actions; /* of the last step */
        char text[128];      /* the same, by name */
} World;

static World world_new(void) {
        /* The two clocks differ by the time that the host was suspended. */
        World w = { .now = { .monotonic_usec = 100 * SEC, .boottime_usec = 5000 * SEC } };

        life_init(&w.life, &limits, w.now);
        return w;
}

static void world_wait(World *w, uint64_t usec) {
        w->now.monotonic_usec += usec;
        w->now.boottime_usec += usec;
}

static bool did(const World *w, LifeAction action) {
        for (size_t i = 0; i < w->actions.n; i++)
                if (w->actions.list[i] == action)
                        return true;
        return false;
}

static void name_actions(World *w) {
        size_t n = 0;

        w->text[0] = '\0';
        for (size_t i = 0; i < w->actions.n; i++) {
                const char *name = life_action_to_string(w->actions.list[i]);

                assert_non_null(name);
                n += (size_t) snprintf(w->text + n, sizeof w->text - n, "%s%s", i ? " " : "", name);
                assert_true(n < sizeof w->text);
        }
}

static void check_reset(const LifeReset *r) {
        assert_non_null(memchr(r->detail, '\0', sizeof r->detail));
        assert_string_not_equal(r->detail, "");
        assert_non_null(reset_cause_to_string(r->cause));
        assert_non_null(reset_reason_to_string(r->reason));
        assert_non_null(run_reason_to_string(r->run_reason));
        assert_true(r->kind == RESET_KIND_SOFT || r->kind == RESET_KIND_HARD);
        assert_int_equal(r->kind == RESET_KIND_SOFT, r->cause == RESET_CAUSE_SOFT);
        assert_true(r->kind == RESET_KIND_SOFT || !r->raw_repl);
        assert_int_equal(r->kind == RESET_KIND_SOFT, r->run_reason != RUN_REASON_STARTUP);
        assert_true(r->ended_stage >= BOARD_STAGE_OFF && r->ended_stage < BOARD_STAGE_STOPPING);
}

static void check_deadline(const Life *l) {
        switch (l->state) {
        case LIFE_WAITING:
                assert_int_equal(l->deadline_clock, l->held ? LIFE_CLOCK_NONE : LIFE_CLOCK_BOOTTIME);
                assert_string_not_equal(l->problem, "");
                break;
        case LIFE_DEEP_SLEEP:
                assert_int_equal(l->deadline_clock,
                                 l->sleep_usec == FOREVER ? LIFE_CLOCK_NONE : LIFE_CLOCK_BOOTTIME);
                break;
        case LIFE_POWERING_ON:
        case LIFE_STOPPING:
                assert_int_equal(l->deadline_clock, LIFE_CLOCK_MONOTONIC);
                break;
        case LIFE_STUCK:
                assert_string_not_equal(l->problem, "");
                assert_int_equal(l->deadline_clock, LIFE_CLOCK_NONE);
                break;
        case LIFE_OFF:
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_IDLE:
                assert_int_equal(l->deadline_clock, LIFE_CLOCK_NONE);
                break;
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                fail();
        }
}

static void check_stage(const Life *l) {
        switch (l->state) {
        case LIFE_OFF:
        case LIFE_WAITING:
        case LIFE_DEEP_SLEEP:
        case LIFE_POWERING_ON:
                assert_int_equal(l->stage, BOARD_STAGE_OFF);
                break;
        case LIFE_BOOTING:
                assert_in_range(l->stage, BOARD_STAGE_BOOT_INTERNAL, BOARD_STAGE_BOOT);
                break;
        case LIFE_RUNNING:
                assert_int_equal(l->stage, BOARD_STAGE_MAIN);
                break;
        case LIFE_IDLE:
                assert_int_equal(l->stage, BOARD_STAGE_REPL);
                break;
        case LIFE_STOPPING:
        case LIFE_STUCK:
                break;
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                fail();
        }
}

static void check_actions(World *w, const Life *before) {
        const Life *l = &w->life;
        bool before_has_board = life_has_board(before);

        assert_true(w->actions.n <= LIFE_ACTIONS_MAX);
        if (did(w, LIFE_ACTION_SPAWN)) {
                assert_false(w->process); /* never doubled */
                assert_false(l->shutting_down);
                assert_int_equal(l->state, LIFE_POWERING_ON);
                assert_int_equal(w->actions.list[w->actions.n - 1], LIFE_ACTION_SPAWN);
                w->process = true;
                w->booted = false;
        }
        if (did(w, LIFE_ACTION_RECORD)) {
                assert_false(l->shutting_down);
                assert_int_equal(w->actions.list[0], LIFE_ACTION_RECORD);
                check_reset(&l->next);
                w->n_records++;
                w->n_crashes += l->next.crashed;
        }
        /* Each life that ends is told once, when it ends. */
        if (did(w, LIFE_ACTION_RECORD_END)) {
                assert_int_equal(w->actions.list[0], LIFE_ACTION_RECORD_END);
                assert_false(did(w, LIFE_ACTION_RECORD));
                assert_true(l->state == LIFE_DEEP_SLEEP || (l->state == LIFE_OFF && l->shutting_down));
                w->n_crashes += l->next.crashed;
        }
        if (before_has_board && !life_has_board(l) && l->state != LIFE_WAITING)
                assert_true(did(w, LIFE_ACTION_RECORD_END) || before->state == LIFE_POWERING_ON ||
                            before->leftover); /* an earlier run's: how it ended nobody knows */
        assert_int_equal(did(w, LIFE_ACTION_DISCARD_INPUT),
                         did(w, LIFE_ACTION_RECORD) && l->next.kind != RESET_KIND_SOFT);
        if (did(w, LIFE_ACTION_BOOT)) {
                assert_true(w->process && !w->booted && l->hello);
                assert_true(l->recorded || l->next.kind == RESET_KIND_SOFT ||
                            did(w, LIFE_ACTION_MARK_LATE));
                w->booted = true;
        }
        if (did(w, LIFE_ACTION_MARK_LATE))
                assert_true(did(w, LIFE_ACTION_BOOT) && !l->recorded);
        if (did(w, LIFE_ACTION_KILL)) {
                assert_true(w->process);
                assert_int_not_equal(before->step, LIFE_STOP_KILL);
                assert_int_equal(l->state, LIFE_STOPPING);
                assert_int_equal(l->step, LIFE_STOP_KILL);
                assert_int_equal(l->deadline_clock, LIFE_CLOCK_MONOTONIC);
                assert_int_equal(l->deadline_usec, w->now.monotonic_usec + limits.kill_timeout_usec);
        }
        if (did(w, LIFE_ACTION_SEND_STOP) || did(w, LIFE_ACTION_SEND_ABORT)) {
                assert_true(w->process && w->booted);
                assert_int_equal(l->state, LIFE_STOPPING);
        }
        assert_int_equal(did(w, LIFE_ACTION_REPORT_STUCK),
                         before->state != LIFE_STUCK && l->state == LIFE_STUCK);
        if (did(w, LIFE_ACTION_QUIT))
                assert_true(l->shutting_down && (!w->process || l->state == LIFE_STUCK));
}

static void step(World *w, const LifeEvent *e) {
        Life before = w->life;

        /* What the world knows by this event. */
        if (e->type == LIFE_EVENT_EXITED ||
            ((e->type == LIFE_EVENT_SPAWN_FAILED || e->type == LIFE_EVENT_HOLD) && before.state == LIFE_POWERING_ON && !before.hello))
                w->process = false;
        if (e->type == LIFE_EVENT_POWER_ON && e->leftover && before.state == LIFE_OFF &&
            !before.shutting_down)
                w->process = true;

        w->actions = life_handle(&w->life, e, w->now);
        name_actions(w);
        check_actions(w, &before);
        check_deadline(&w->life);
        check_stage(&w->life);
        assert_int_equal(life_has_board(&w->life), w->process);
        assert_non_null(life_state_to_string(w->life.state));
        assert_int_equal(w->life.n_soft + w->life.n_hard, w->n_records);
        assert_int_equal(w->life.n_crashes, w->n_crashes);
        assert_true(w->life.n_delayed >= before.n_delayed);
        if (before.shutting_down)
                assert_true(w->life.shutting_down);
        if (before.state == LIFE_STUCK && e->type != LIFE_EVENT_EXITED)
                assert_int_equal(w->life.state, LIFE_STUCK);
}

/* ---- events by name ---- */

typedef enum EventName {
        POWER_ON,
        SPAWN_FAILED,
        HOLD,
        RELEASE,
        RELEASE_UNRECORDED,
        HELLO,
        RECORDED,
        STAGE_INTERNAL,
        STAGE_BOOT,
        STAGE_MAIN,
        STAGE_REPL,
        STAGE_STOPPING,
        ASKED_SOFT,
        ASKED_HARD,
        ASKED_SLEEP,
        ORDER_SOFT,
        ORDER_HARD,
        WATCHDOG,
        FAULT,
        EXITED,
        WAKE,
        EARLY_TIMER,
        TIMER,
        SHUTDOWN,
        EVENT_MAX,
} EventName;

#define EVENT(event, ...) [event] = { #event, { .type = LIFE_EVENT_##__VA_ARGS__ } }
static const struct {
        const char *name;
        LifeEvent event;
} events[EVENT_MAX] = {
        EVENT(POWER_ON, POWER_ON, .cause = RESET_CAUSE_PWRON, .reason = RESET_REASON_POWER_ON,
              .detail = "first start"),
        EVENT(SPAWN_FAILED, SPAWN_FAILED, .detail = "no such file"),
        EVENT(HOLD, HOLD, .detail = "its button is held"),
        EVENT(RELEASE, RELEASE),
        EVENT(RELEASE_UNRECORDED, RELEASE, .unrecorded = true),
        EVENT(HELLO, HELLO),
        EVENT(RECORDED, RECORDED),
        EVENT(STAGE_INTERNAL, STAGE, .stage = BOARD_STAGE_BOOT_INTERNAL),
        EVENT(STAGE_BOOT, STAGE, .stage = BOARD_STAGE_BOOT),
        EVENT(STAGE_MAIN, STAGE, .stage = BOARD_STAGE_MAIN),
        EVENT(STAGE_REPL, STAGE, .stage = BOARD_STAGE_REPL),
        EVENT(STAGE_STOPPING, STAGE, .stage = BOARD_STAGE_STOPPING),
        EVENT(ASKED_SOFT, ASKED, .kind = RESET_KIND_SOFT, .raw_repl = true),
        EVENT(ASKED_HARD, ASKED, .kind = RESET_KIND_HARD),
        EVENT(ASKED_SLEEP, ASKED, .kind = RESET_KIND_DEEPSLEEP, .sleep_usec = 30 * SEC),
        EVENT(ORDER_SOFT, ORDER, .kind = RESET_KIND_SOFT, .detail = "soft reset asked for by a test"),
        EVENT(ORDER_HARD, ORDER, .kind = RESET_KIND_HARD, .detail = "hard reset asked for by a test"),
        EVENT(WATCHDOG, WATCHDOG, .detail = "machine.WDT was not fed for 5s"),
        EVENT(FAULT, FAULT, .detail = "it sent a malformed message"),
        EVENT(EXITED, EXITED, .exit_status = 3),
        EVENT(WAKE, WAKE, .detail = "wake by GPIO4"),
        EVENT(EARLY_TIMER, TIMER),
        EVENT(TIMER, TIMER),
        EVENT(SHUTDOWN, SHUTDOWN),
};

/* To one microsecond before the deadline, or to the very deadline. */
static void go_to_deadline(World *w, uint64_t early_usec) {
        const Life *l = &w->life;
        uint64_t at = l->deadline_clock == LIFE_CLOCK_MONOTONIC ? w->now.monotonic_usec
                                                                : w->now.boottime_usec;

        if (l->deadline_clock != LIFE_CLOCK_NONE && l->deadline_usec > at + early_usec)
                world_wait(w, l->deadline_usec - at - early_usec);
}

static void happen(World *w, EventName name) {
        if (name == TIMER || name == EARLY_TIMER)
                go_to_deadline(w, name == EARLY_TIMER);
        step(w, &events[name].event);
}

static void play(World *w, const EventName *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                happen(w, names[i]);
}
#define PLAY(w, ...) \
        play(w, (const EventName[]) { __VA_ARGS__ }, ELEMENTSOF(((const EventName[]) { __VA_ARGS__ })))

#define POWERED POWER_ON
#define LET_IN POWER_ON, HELLO, RECORDED
#define IN_BOOT LET_IN, STAGE_INTERNAL, STAGE_BOOT
#define IN_MAIN IN_BOOT, STAGE_MAIN
#define IN_REPL IN_MAIN, STAGE_REPL

/* An event, the state after it and what was to be done. */
static void then(World *w, EventName name, LifeState state, const char *actions) {
        happen(w, name);
        if (w->life.state != state || !streq(w->text, actions))
                fail_msg("%s led to %s [%s], not to %s [%s]", events[name].name,
                         life_state_to_string(w->life.state), w->text, life_state_to_string(state),
                         actions);
}

static void assert_deadline_in(const World *w, LifeClock clock, uint64_t usec) {
        uint64_t from = clock == LIFE_CLOCK_MONOTONIC ? w->now.monotonic_usec : w->now.boottime_usec;

        assert_int_equal(w->life.deadline_clock, clock);
        if (clock != LIFE_CLOCK_NONE)
                assert_int_equal(w->life.deadline_usec, from + usec);
}

/* ---- the table ---- */

/* Places: the states, and within a state what makes a difference. */
typedef enum Place {
        P_OFF,
        P_WAITING,
        P_HELD,           /* something comes before the board; its record is durable */
        P_SPAWNED,        /* powering on: nothing heard yet */
        P_AT_THE_DOOR,    /* hello was said, the record is not durable */
        P_LET_IN,         /* let in, no stage yet */
        P_BOOTING,
        P_RUNNING,
        P_IDLE,
        P_ENDING,         /* stage "stopping" of its own */
        P_ASKED,          /* it asked for a soft reset and is about to exit */
        P_INTERRUPTED,    /* forced stop */
        P_ABORTED,
        P_KILLED,
        P_SLEEP,
        P_SLEEP_FOREVER,
        P_STUCK,
        PLACE_MAX,
} Place;

#define ROUTE(...) { { __VA_ARGS__ }, ELEMENTSOF(((const EventName[]) { __VA_ARGS__ })) }
static const struct {
        EventName route[12];
        size_t n;
} places[PLACE_MAX] = {
        [P_WAITING] = ROUTE(POWERED, SPAWN_FAILED),
        [P_HELD] = ROUTE(POWERED, HOLD, RECORDED),
        [P_SPAWNED] = ROUTE(POWERED),
        [P_AT_THE_DOOR] = ROUTE(POWERED, HELLO),
        [P_LET_IN] = ROUTE(LET_IN),
        [P_BOOTING] = ROUTE(IN_BOOT),
        [P_RUNNING] = ROUTE(IN_MAIN),
        [P_IDLE] = ROUTE(IN_REPL),
        [P_ENDING] = ROUTE(IN_MAIN, STAGE_STOPPING),
        [P_ASKED] = ROUTE(IN_MAIN, STAGE_STOPPING, ASKED_SOFT),
        [P_INTERRUPTED] = ROUTE(IN_MAIN, ORDER_SOFT),
        [P_ABORTED] = ROUTE(IN_MAIN, ORDER_SOFT, TIMER),
        [P_KILLED] = ROUTE(IN_MAIN, ORDER_HARD),
        [P_SLEEP] = ROUTE(IN_MAIN, ASKED_SLEEP, EXITED),
        [P_SLEEP_FOREVER] = ROUTE(IN_MAIN), /* and see world_at() */
        [P_STUCK] = ROUTE(IN_MAIN, ORDER_HARD, TIMER),
};

static World world_at(Place place) {
        World w = world_new();

        play(&w, places[place].route, places[place].n);
        if (place == P_SLEEP_FOREVER) {
                step(&w, &(LifeEvent) {
                                 .type = LIFE_EVENT_ASKED,
                                 .kind = RESET_KIND_DEEPSLEEP,
                                 .sleep_usec = FOREVER,
                         });
                happen(&w, EXITED);
        }
        return w;
}

/* What follows. A cell that is not here: the event is ignored, not a bit changes. */
typedef struct Cell {
        bool used;
        LifeState to;
        const char *actions;
        LifeClock clock;
        uint64_t after_usec;
} Cell;

#define TO(state, actions, clock, after) { true, LIFE_##state, actions, LIFE_CLOCK_##clock, after }
#define QUIETLY(state) TO(state, "", NONE, 0)
#define NEW_HARD TO(POWERING_ON, "record discard-input spawn", MONOTONIC, 10 * SEC)
#define NEW_SOFT TO(POWERING_ON, "record spawn", MONOTONIC, 10 * SEC)
#define KILL TO(STOPPING, "kill", MONOTONIC, 5 * SEC)
#define STOP TO(STOPPING, "send-stop", MONOTONIC, 2 * SEC)
#define ABORT TO(STOPPING, "send-abort", MONOTONIC, 1 * SEC)
#define QUIT TO(OFF, "quit", NONE, 0)
#define NOTED(clock, after) TO(STOPPING, "", clock, after)

static const Cell table[PLACE_MAX][EVENT_MAX] = {
        [P_OFF] = {
                [POWER_ON] = NEW_HARD,
                [RECORDED] = QUIETLY(OFF),
                [SHUTDOWN] = QUIT,
        },
        [P_WAITING] = {
                [RECORDED] = TO(WAITING, "", BOOTTIME, 1 * SEC),
                [ORDER_SOFT] = NEW_HARD, /* there is nothing left to be soft with */
                [ORDER_HARD] = NEW_HARD,
                [TIMER] = TO(POWERING_ON, "spawn", MONOTONIC, 10 * SEC),
                [SHUTDOWN] = QUIT,
        },
        [P_HELD] = {
                [RELEASE] = TO(POWERING_ON, "spawn", MONOTONIC, 10 * SEC),
                [RELEASE_UNRECORDED] = TO(POWERING_ON, "spawn", MONOTONIC, 10 * SEC),
                [ORDER_SOFT] = NEW_HARD,
                [ORDER_HARD] = NEW_HARD,
                [SHUTDOWN] = QUIT,
        },
        [P_SPAWNED] = {
                [HOLD] = QUIETLY(WAITING),
                [SPAWN_FAILED] = TO(WAITING, "", BOOTTIME, 1 * SEC),
                [HELLO] = TO(POWERING_ON, "", MONOTONIC, 500 * MSEC),
                [RECORDED] = TO(POWERING_ON, "", MONOTONIC, 10 * SEC),
                [ASKED_SOFT] = KILL, /* it was not even let in: a fault */
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = TO(WAITING, "record discard-input", BOOTTIME, 1 * SEC),
                [TIMER] = KILL,
                [SHUTDOWN] = KILL,
        },
        [P_AT_THE_DOOR] = {
                [RECORDED] = TO(POWERING_ON, "boot", MONOTONIC, 10 * SEC),
                [ASKED_SOFT] = KILL,
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = TO(WAITING, "record discard-input", BOOTTIME, 1 * SEC),
                [TIMER] = TO(POWERING_ON, "mark-late boot", MONOTONIC, 10 * SEC),
                [SHUTDOWN] = KILL,
        },
        [P_LET_IN] = {
                [STAGE_INTERNAL] = QUIETLY(BOOTING),
                [STAGE_BOOT] = QUIETLY(BOOTING),
                [STAGE_MAIN] = QUIETLY(RUNNING),
                [STAGE_REPL] = QUIETLY(IDLE),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 2 * SEC),
                [ASKED_SOFT] = KILL,
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = TO(WAITING, "record discard-input", BOOTTIME, 1 * SEC),
                [TIMER] = KILL,
                [SHUTDOWN] = KILL,
        },
        [P_BOOTING] = {
                [STAGE_MAIN] = QUIETLY(RUNNING),
                [STAGE_REPL] = QUIETLY(IDLE),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 2 * SEC),
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_SOFT] = STOP,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_HARD,
                [SHUTDOWN] = STOP,
        },
        [P_RUNNING] = {
                [STAGE_REPL] = QUIETLY(IDLE),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 2 * SEC),
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_SOFT] = STOP,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_HARD,
                [SHUTDOWN] = STOP,
        },
        [P_IDLE] = {
                [STAGE_STOPPING] = NOTED(MONOTONIC, 2 * SEC),
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_SOFT] = STOP,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_HARD,
                [SHUTDOWN] = STOP,
        },
        [P_ENDING] = {
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_HARD,
                [TIMER] = ABORT,
                [SHUTDOWN] = NOTED(MONOTONIC, 2 * SEC),
        },
        [P_ASKED] = {
                [ASKED_SOFT] = KILL, /* it has said so already: a fault */
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_SOFT,
                [TIMER] = KILL,
                [SHUTDOWN] = NOTED(MONOTONIC, 1 * SEC),
        },
        [P_INTERRUPTED] = {
                [STAGE_REPL] = NOTED(MONOTONIC, 2 * SEC),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 2 * SEC),
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_SOFT,
                [TIMER] = ABORT,
                [SHUTDOWN] = NOTED(MONOTONIC, 2 * SEC),
        },
        [P_ABORTED] = {
                [STAGE_REPL] = NOTED(MONOTONIC, 1 * SEC),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_SOFT] = NOTED(MONOTONIC, 1 * SEC),
                [ASKED_HARD] = KILL,
                [ASKED_SLEEP] = KILL,
                [ORDER_HARD] = KILL,
                [WATCHDOG] = KILL,
                [FAULT] = KILL,
                [EXITED] = NEW_SOFT,
                [TIMER] = KILL,
                [SHUTDOWN] = NOTED(MONOTONIC, 1 * SEC),
        },
        [P_KILLED] = {
                [STAGE_REPL] = NOTED(MONOTONIC, 5 * SEC),
                [STAGE_STOPPING] = NOTED(MONOTONIC, 5 * SEC),
                [EXITED] = NEW_HARD,
                [TIMER] = TO(STUCK, "report-stuck", NONE, 0),
                [SHUTDOWN] = NOTED(MONOTONIC, 5 * SEC),
        },
        [P_SLEEP] = {
                [RECORDED] = TO(DEEP_SLEEP, "", BOOTTIME, 30 * SEC),
                [ORDER_SOFT] = NEW_HARD,
                [ORDER_HARD] = NEW_HARD,
                [TIMER] = NEW_HARD,
                [WAKE] = NEW_HARD,
                [SHUTDOWN] = QUIT,
        },
        [P_SLEEP_FOREVER] = {
                [ORDER_SOFT] = NEW_HARD,
                [ORDER_HARD] = NEW_HARD,
                [WAKE] = NEW_HARD,
                [SHUTDOWN] = QUIT,
        },
        [P_STUCK] = {
                [STAGE_REPL] = QUIETLY(STUCK),
                [STAGE_STOPPING] = QUIETLY(STUCK),
                [EXITED] = NEW_HARD,
                [SHUTDOWN] = TO(STUCK, "quit", NONE, 0),
        },
};

static void test_table(void **state) {
        for (Place p = 0; p < PLACE_MAX; p++)
                for (EventName e = 0; e < EVENT_MAX; e++) {
                        const Cell *c = &table[p][e];
                        World w = world_at(p);
                        Life before = w.life;

                        happen(&w, e);
                        if (!c->used) {
                                /* That a record became durable is remembered everywhere. */
                                if (e == RECORDED)
                                        before.recorded = true;
                                if (w.actions.n > 0 || memcmp(&before, &w.life, sizeof before) != 0)
                                        fail_msg("place %d: %s was not ignored: %s [%s]", (int) p,
                                                 events[e].name, life_state_to_string(w.life.state),
                                                 w.text);
                                continue;
                        }
                        if (w.life.state != c->to || !streq(w.text, c->actions))
                                fail_msg("place %d: %s led to %s [%s]", (int) p, events[e].name,
                                         life_state_to_string(w.life.state), w.text);
                        assert_deadline_in(&w, c->clock, c->after_usec);
                }
}

/* A second shutdown is not patient any more; an order does not undo one. */
static void test_shutdown(void **state) {
        for (Place p = 0; p < PLACE_MAX; p++) {
                World w = world_at(p);
                bool no_board = !life_has_board(&w.life);
                uint64_t records = w.n_records;

                happen(&w, SHUTDOWN);
                PLAY(&w, ORDER_SOFT, ORDER_HARD, POWER_ON);
                assert_int_equal(w.actions.n, 0);
                happen(&w, SHUTDOWN);
                if (no_board || p == P_STUCK)
                        assert_string_equal(w.text, "quit");
                else {
                        assert_int_equal(w.life.state, LIFE_STOPPING);
                        assert_int_equal(w.life.step, LIFE_STOP_KILL);
                        happen(&w, SHUTDOWN);
                        assert_int_equal(w.actions.n, 0);
                }
                happen(&w, EXITED);
                assert_int_equal(w.life.state, LIFE_OFF);
                assert_string_equal(w.text, no_board ? "" : "record-end quit");
                /* How it ended is for the next daemon to tell. */
                assert_int_equal(w.n_records, records);
        }
}

/* One request is enough too: each step of the forced stop comes by itself. */
static void test_shutdown_of_a_program_that_does_not_end(void **state) {
        World w = world_at(P_RUNNING);

        then(&w, SHUTDOWN, LIFE_STOPPING, "send-stop");
        then(&w, TIMER, LIFE_STOPPING, "send-abort");
        then(&w, TIMER, LIFE_STOPPING, "kill");
        then(&w, TIMER, LIFE_STUCK, "report-stuck quit");
        then(&w, SHUTDOWN, LIFE_STUCK, "quit");
        then(&w, EXITED, LIFE_OFF, "record-end quit");
}

/* A bite wins over every wish but one that kills already, and counts as the program's own doing. */
static void test_watchdog(void **state) {
        static const Place where[] = { P_LET_IN, P_BOOTING, P_RUNNING, P_IDLE, P_ENDING, P_ASKED,
                                       P_INTERRUPTED, P_ABORTED };

        for (size_t i = 0; i < ELEMENTSOF(where); i++) {
                World w = world_at(where[i]);

                happen(&w, WATCHDOG);
                PLAY(&w, ASKED_HARD, ORDER_HARD, WATCHDOG); /* too late */
                assert_int_equal(w.actions.n, 0);
                then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
                assert_int_equal(w.life.next.cause, RESET_CAUSE_WDT);
                assert_int_equal(w.life.next.reason, RESET_REASON_WATCHDOG);
                assert_int_equal(w.life.next.run_reason, RUN_REASON_STARTUP);
                assert_false(w.life.next.crashed);
                assert_string_equal(w.life.next.detail, "machine.WDT was not fed for 5s");
        }
}

static void test_watchdog_is_too_late(void **state) {
        World w = world_at(P_RUNNING);

        PLAY(&w, ASKED_HARD, WATCHDOG, EXITED);
        assert_int_equal(w.life.next.cause, RESET_CAUSE_HARD);
        assert_int_equal(w.life.next.reason, RESET_REASON_SOFTWARE);

        w = world_at(P_RUNNING);
        PLAY(&w, SHUTDOWN, WATCHDOG);
        assert_int_equal(w.life.step, LIFE_STOP_INTERRUPT);
}

static void test_storm_of_bites(void **state) {
        World w = world_at(P_RUNNING);

        for (unsigned i = 0; i < limits.burst; i++) {
                PLAY(&w, WATCHDOG);
                then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
                PLAY(&w, HELLO, RECORDED, STAGE_BOOT, STAGE_MAIN);
        }
        PLAY(&w, WATCHDOG);
        then(&w, EXITED, LIFE_WAITING, "record discard-input");
        then(&w, WATCHDOG, LIFE_WAITING, "");
        assert_int_equal(w.life.n_crashes, 0);
}

static void test_shutdown_ends_in_good_order(void **state) {
        World w = world_at(P_RUNNING);

        PLAY(&w, SHUTDOWN, STAGE_STOPPING);
        then(&w, ASKED_SOFT, LIFE_STOPPING, "");
        world_wait(&w, 7 * MSEC);
        then(&w, EXITED, LIFE_OFF, "record-end quit");
        assert_string_equal(w.life.next.detail, "mpyd stopped");
        assert_int_equal(w.life.next.ended_stage, BOARD_STAGE_MAIN);
        assert_int_equal(w.life.next.ended_uptime_usec, 7 * MSEC);
        assert_int_equal(w.life.n_crashes, 0);
}

/* ---- what a reset is called ---- */

/* From a place, by these events, comes this reset. */
typedef struct Naming {
        Place from;
        EventName route[6];
        size_t n;
        LifeReset reset;
} Naming;

#define BY(...) .route = { __VA_ARGS__ }, .n = ELEMENTSOF(((const EventName[]) { __VA_ARGS__ }))
#define RESET(cause_, reason_, kind_, run_, detail_)                               \
        .reset = {                                                                  \
                .cause = RESET_CAUSE_##cause_, .reason = RESET_REASON_##reason_,    \
                .kind = RESET_KIND_##kind_, .run_reason = RUN_REASON_##run_, .detail = detail_
#define ENDED(stage_, status_, ...) \
        .ended_stage = BOARD_STAGE_##stage_, .ended_exit_status = status_, __VA_ARGS__ }

static const Naming namings[] = {
        { P_OFF, BY(POWER_ON),
          RESET(PWRON, POWER_ON, HARD, STARTUP, "first start"), ENDED(OFF, -1) },

        /* A soft reset keeps the reason of the life before (SPEC 2.3). */
        { P_RUNNING, BY(ASKED_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, SUPERVISOR_RELOAD, "soft reset from main.py"), .raw_repl = true,
          ENDED(MAIN, 3) },
        { P_BOOTING, BY(ASKED_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, SUPERVISOR_RELOAD, "soft reset from boot.py"), .raw_repl = true,
          ENDED(BOOT, 3) },
        { P_IDLE, BY(STAGE_STOPPING, ASKED_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, REPL_RELOAD, "soft reset from the REPL"), .raw_repl = true,
          ENDED(REPL, 3) },
        { P_RUNNING, BY(ORDER_SOFT, STAGE_STOPPING, ASKED_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, SUPERVISOR_RELOAD, "soft reset asked for by a test"),
          ENDED(MAIN, 3) },
        /* Nobody is there any more whose raw REPL it is. */
        { P_IDLE, BY(ORDER_SOFT, STAGE_STOPPING, ASKED_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, REPL_RELOAD, "soft reset asked for by a test"), ENDED(REPL, 3) },
        { P_IDLE, BY(ORDER_SOFT, EXITED),
          RESET(SOFT, POWER_ON, SOFT, REPL_RELOAD, "soft reset asked for by a test"), ENDED(REPL, 3) },

        { P_RUNNING, BY(ASKED_HARD, EXITED),
          RESET(HARD, SOFTWARE, HARD, STARTUP, "machine.reset() from main.py"), ENDED(MAIN, 3) },
        { P_IDLE, BY(ASKED_HARD, EXITED),
          RESET(HARD, SOFTWARE, HARD, STARTUP, "machine.reset() from the REPL"), ENDED(REPL, 3) },
        /* S47: `finally: machine.reset()`, also when somebody ordered something milder. */
        { P_RUNNING, BY(ORDER_SOFT, ASKED_HARD, EXITED),
          RESET(HARD, SOFTWARE, HARD, STARTUP, "machine.reset() from main.py"), ENDED(MAIN, 3) },
        { P_ASKED, BY(ORDER_HARD, EXITED),
          RESET(HARD, RESET_PIN, HARD, STARTUP, "hard reset asked for by a test"), ENDED(MAIN, 3) },
        { P_LET_IN, BY(ORDER_HARD, EXITED),
          RESET(HARD, RESET_PIN, HARD, STARTUP, "hard reset asked for by a test"), ENDED(OFF, 3) },
        { P_WAITING, BY(ORDER_SOFT),
          RESET(HARD, RESET_PIN, HARD, STARTUP, "soft reset asked for by a test"),
          ENDED(OFF, -1) },

        { P_SLEEP, BY(TIMER),
          RESET(DEEPSLEEP, DEEP_SLEEP_ALARM, HARD, STARTUP,
                "wake after machine.deepsleep() from main.py"), ENDED(OFF, -1) },
        { P_SLEEP_FOREVER, BY(ORDER_HARD),
          RESET(HARD, RESET_PIN, HARD, STARTUP, "hard reset asked for by a test"), ENDED(OFF, -1) },

        { P_LET_IN, BY(EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "ended in start-up without saying why: exit status 3"),
          ENDED(OFF, 3, .crashed = true) },
        { P_BOOTING, BY(EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "ended in boot.py without saying why: exit status 3"),
          ENDED(BOOT, 3, .crashed = true) },
        { P_IDLE, BY(EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "ended in the REPL without saying why: exit status 3"),
          ENDED(REPL, 3, .crashed = true) },
        { P_RUNNING, BY(STAGE_STOPPING, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "ended in main.py without saying why: exit status 3"),
          ENDED(MAIN, 3, .crashed = true) },
        { P_RUNNING, BY(FAULT, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "killed in main.py: it sent a malformed message"),
          ENDED(MAIN, 3, .crashed = true) },
        /* A fault undoes what was intended, an intent does not undo a fault. */
        { P_INTERRUPTED, BY(FAULT, ASKED_SOFT, ORDER_HARD, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "killed in main.py: it sent a malformed message"),
          ENDED(MAIN, 3, .crashed = true) },
        { P_LET_IN, BY(ASKED_HARD, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP,
                "killed in start-up: it asked for a reset before its first stage"),
          ENDED(OFF, 3, .crashed = true) },
        { P_SPAWNED, BY(TIMER, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "killed in start-up: no sign of life for 10.0 s"),
          ENDED(OFF, 3, .crashed = true) },
        { P_ENDING, BY(TIMER, TIMER, EXITED),
          RESET(HARD, UNKNOWN, HARD, STARTUP, "killed in main.py: it did not come to its end"),
          ENDED(MAIN, 3, .crashed = true) },
};

static void test_names(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(namings); i++) {
                const Naming *n = &namings[i];
                World w = world_at(n->from);
                const LifeReset *r = &w.life.next;

                play(&w, n->route, n->n);
                assert_true(did(&w, LIFE_ACTION_RECORD));
                assert_string_equal(r->detail, n->reset.detail);
                assert_int_equal(r->cause, n->reset.cause);
                assert_int_equal(r->reason, n->reset.reason);
                assert_int_equal(r->kind, n->reset.kind);
                assert_int_equal(r->run_reason, n->reset.run_reason);
                assert_int_equal(r->raw_repl, n->reset.raw_repl);
                assert_int_equal(r->ended_stage, n->reset.ended_stage);
                assert_int_equal(r->ended_exit_status, n->reset.ended_exit_status);
                assert_int_equal(r->ended_signal, 0);
                assert_int_equal(r->crashed, n->reset.crashed);
                assert_int_equal(w.life.n_crashes, n->reset.crashed);
        }
}

static void test_crash_by_signal(void **state) {
        static const struct {
                BoardStage stage;
                int signal;
                const char *detail;
        } cases[] = {
                { BOARD_STAGE_BOOT_INTERNAL, SIGSEGV, "crashed in _boot.py: signal 11 (SIGSEGV)" },
                { BOARD_STAGE_BOOT, SIGBUS, "crashed in boot.py: signal 7 (SIGBUS)" },
                { BOARD_STAGE_MAIN, SIGKILL, "crashed in main.py: signal 9 (SIGKILL)" },
                { BOARD_STAGE_REPL, SIGABRT, "crashed in the REPL: signal 6 (SIGABRT)" },
                { BOARD_STAGE_MAIN, 999, "crashed in main.py: signal 999 (SIG?)" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                World w = world_at(P_LET_IN);

                step(&w, &(LifeEvent) { .type = LIFE_EVENT_STAGE, .stage = cases[i].stage });
                world_wait(&w, 42 * MSEC);
                step(&w, &(LifeEvent) {
                                 .type = LIFE_EVENT_EXITED,
                                 .exit_status = -1,
                                 .signal = cases[i].signal,
                         });
                assert_string_equal(w.life.next.detail, cases[i].detail);
                assert_int_equal(w.life.next.ended_signal, cases[i].signal);
                assert_int_equal(w.life.next.ended_exit_status, -1);
                assert_int_equal(w.life.next.ended_uptime_usec, 42 * MSEC);
                assert_int_equal(w.life.n_crashes, 1);
                /* A crash in _boot.py is a board that does not start. */
                assert_int_equal(w.life.state, cases[i].stage == BOARD_STAGE_BOOT_INTERNAL
                                                       ? LIFE_WAITING
                                                       : LIFE_POWERING_ON);
        }
}

/* ---- stories ---- */

static void test_power_on(void **state) {
        World w = world_new();

        then(&w, POWER_ON, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.started_boottime_usec, w.now.boottime_usec);
        then(&w, POWER_ON, LIFE_POWERING_ON, "");
        then(&w, HELLO, LIFE_POWERING_ON, "");
        then(&w, HELLO, LIFE_POWERING_ON, "");
        then(&w, STAGE_INTERNAL, LIFE_POWERING_ON, ""); /* not let in yet */
        then(&w, RECORDED, LIFE_POWERING_ON, "boot");
        then(&w, RECORDED, LIFE_POWERING_ON, "");
        then(&w, STAGE_INTERNAL, LIFE_BOOTING, "");
        then(&w, STAGE_BOOT, LIFE_BOOTING, "");
        then(&w, STAGE_MAIN, LIFE_RUNNING, "");
        then(&w, STAGE_REPL, LIFE_IDLE, "");
        then(&w, STAGE_MAIN, LIFE_IDLE, ""); /* there is no way back */
        assert_int_equal(w.life.n_hard, 1);
        assert_int_equal(w.life.n_soft, 0);
        assert_string_equal(w.life.problem, "");
}

static void test_record_before_hello(void **state) {
        World w = world_new();

        then(&w, POWER_ON, LIFE_POWERING_ON, "record discard-input spawn");
        then(&w, RECORDED, LIFE_POWERING_ON, "");
        then(&w, HELLO, LIFE_POWERING_ON, "boot");
}

/* The disk is slow: the board waits its time and no longer; what comes too late changes nothing. */
static void test_late_record(void **state) {
        World w = world_at(P_AT_THE_DOOR);

        then(&w, EARLY_TIMER, LIFE_POWERING_ON, "");
        then(&w, TIMER, LIFE_POWERING_ON, "mark-late boot");
        then(&w, STAGE_INTERNAL, LIFE_BOOTING, "");
        then(&w, RECORDED, LIFE_BOOTING, "");
}

/* Soft resets are recorded, but nobody waits for it. */
static void test_soft_reset_does_not_wait_for_the_disk(void **state) {
        World w = world_at(P_IDLE);

        PLAY(&w, STAGE_STOPPING, ASKED_SOFT);
        then(&w, EXITED, LIFE_POWERING_ON, "record spawn");
        assert_false(w.life.recorded);
        assert_true(w.life.booted); /* spawned with LINK_BOOT on its link */
        then(&w, STAGE_INTERNAL, LIFE_POWERING_ON, ""); /* not before it has said who it is */
        then(&w, HELLO, LIFE_POWERING_ON, "");
        assert_deadline_in(&w, LIFE_CLOCK_MONOTONIC, w.life.limits.start_timeout_usec);
        then(&w, STAGE_INTERNAL, LIFE_BOOTING, "");
        assert_true(w.life.next.raw_repl);
        assert_int_equal(w.life.n_soft, 1);
}

static void test_raw_repl_lasts_one_reset(void **state) {
        World w = world_at(P_ASKED);

        PLAY(&w, EXITED, HELLO, STAGE_INTERNAL, STAGE_REPL);
        step(&w, &(LifeEvent) { .type = LIFE_EVENT_ASKED, .kind = RESET_KIND_SOFT });
        happen(&w, EXITED);
        assert_false(w.life.next.raw_repl);
}

/* The raw REPL is its user's: over an order of somebody else it lasts while they are there. */
static void test_raw_repl_over_an_order(void **state) {
        for (unsigned attended = 0; attended < 2; attended++) {
                World w = world_at(P_IDLE);

                PLAY(&w, ORDER_SOFT, STAGE_STOPPING);
                step(&w, &(LifeEvent) { .type = LIFE_EVENT_ASKED, .kind = RESET_KIND_SOFT, .raw_repl = true,
                                        .attended = attended });
                happen(&w, EXITED);
                assert_int_equal(w.life.next.raw_repl, attended);
        }
}

/* A soft reset keeps the reason over any number of lives. */
static void test_reason_survives_soft_resets(void **state) {
        World w = world_at(P_RUNNING);

        PLAY(&w, ASKED_HARD, EXITED, HELLO, RECORDED, STAGE_MAIN);
        for (unsigned i = 0; i < 3; i++) {
                PLAY(&w, ASKED_SOFT, EXITED, HELLO, STAGE_MAIN);
                assert_int_equal(w.life.next.cause, RESET_CAUSE_SOFT);
                assert_int_equal(w.life.next.reason, RESET_REASON_SOFTWARE);
                world_wait(&w, 5 * SEC);
        }
}

static void test_forced_stop(void **state) {
        World w = world_at(P_RUNNING);

        then(&w, ORDER_SOFT, LIFE_STOPPING, "send-stop");
        assert_deadline_in(&w, LIFE_CLOCK_MONOTONIC, limits.interrupt_timeout_usec);
        then(&w, ORDER_SOFT, LIFE_STOPPING, ""); /* it is on its way */
        then(&w, EARLY_TIMER, LIFE_STOPPING, "");
        then(&w, TIMER, LIFE_STOPPING, "send-abort");
        assert_deadline_in(&w, LIFE_CLOCK_MONOTONIC, limits.abort_timeout_usec);
        then(&w, TIMER, LIFE_STOPPING, "kill");
        then(&w, EXITED, LIFE_POWERING_ON, "record spawn");
        assert_int_equal(w.life.next.kind, RESET_KIND_SOFT);
        assert_int_equal(w.life.n_crashes, 0); /* it was meant to end */
}

/* The program takes the KeyboardInterrupt and runs its finalisers, for ever. */
static void test_forced_stop_in_finalisers(void **state) {
        World w = world_at(P_INTERRUPTED);

        world_wait(&w, 1 * SEC);
        then(&w, STAGE_STOPPING, LIFE_STOPPING, "");
        assert_int_equal(w.life.deadline_usec, w.now.monotonic_usec + 1 * SEC); /* no new time */
        then(&w, TIMER, LIFE_STOPPING, "send-abort");
        then(&w, TIMER, LIFE_STOPPING, "kill");
}

/* A board that says it is about to exit must do so. */
static void test_asked_and_did_not_exit(void **state) {
        World w = world_at(P_ASKED);

        then(&w, TIMER, LIFE_STOPPING, "kill");
        then(&w, ASKED_HARD, LIFE_STOPPING, ""); /* too late for wishes */
        then(&w, EXITED, LIFE_POWERING_ON, "record spawn");
}

/* A finaliser that crashes, the OOM killer: not the soft reset that was meant. */
static void test_crash_while_it_ends(void **state) {
        static const Place ending[] = { P_ASKED, P_INTERRUPTED, P_ENDING };

        for (size_t i = 0; i < ELEMENTSOF(ending); i++) {
                World w = world_at(ending[i]);

                step(&w, &(LifeEvent) {
                                 .type = LIFE_EVENT_EXITED,
                                 .exit_status = -1,
                                 .signal = SIGSEGV,
                         });
                assert_true(w.life.next.crashed);
                assert_int_equal(w.life.next.cause, RESET_CAUSE_HARD);
                assert_int_equal(w.life.next.reason, RESET_REASON_UNKNOWN);
                assert_int_equal(w.life.n_crashes, 1);
        }
}

/* An order that comes while the board is killed for its deep sleep is not slept through. */
static void test_order_before_it_sleeps(void **state) {
        World w = world_at(P_RUNNING);

        then(&w, ASKED_SLEEP, LIFE_STOPPING, "kill");
        then(&w, ORDER_SOFT, LIFE_STOPPING, "");
        then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.next.reason, RESET_REASON_RESET_PIN);
}

static void test_stuck(void **state) {
        World w = world_at(P_STUCK);

        assert_string_equal(w.life.problem,
                            "the board cannot be killed: it hangs in the kernel, in main.py");
        for (EventName e = 0; e < EVENT_MAX; e++)
                if (e != EXITED && e != SHUTDOWN) {
                        then(&w, e, LIFE_STUCK, "");
                        assert_string_not_equal(w.life.problem, "");
                }
        world_wait(&w, USEC_PER_DAY);
        /* The driver lets go at last: what was intended then comes true. */
        then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.next.reason, RESET_REASON_RESET_PIN);
        PLAY(&w, HELLO, RECORDED, STAGE_INTERNAL, STAGE_BOOT);
        assert_string_equal(w.life.problem, "");
}

static const LifeEvent power_on_beside_a_leftover = {
        .type = LIFE_EVENT_POWER_ON,
        .cause = RESET_CAUSE_HARD,
        .reason = RESET_REASON_UNKNOWN,
        .detail = "mpyd was killed by SIGKILL",
        .leftover = true,
};

/* mpyd crashed while its board hung in the kernel: the next mpyd waits for that one, and tells. */
static void test_leftover_of_an_earlier_run(void **state) {
        World w = world_new();

        step(&w, &power_on_beside_a_leftover);
        assert_int_equal(w.life.state, LIFE_STOPPING);
        assert_string_equal(w.text, "kill");
        for (EventName e = 0; e < EVENT_MAX; e++)
                if (e != EXITED && e != TIMER && e != SHUTDOWN)
                        then(&w, e, LIFE_STOPPING, "");
        then(&w, TIMER, LIFE_STUCK, "report-stuck");
        assert_string_equal(w.life.problem,
                            "the board of an earlier run of mpyd cannot be killed: it hangs in the kernel");
        for (EventName e = 0; e < EVENT_MAX; e++)
                if (e != EXITED && e != SHUTDOWN)
                        then(&w, e, LIFE_STUCK, "");
        world_wait(&w, USEC_PER_DAY);
        /* Its end is the end of no life of this run: the reset is the one that mpyd's start made. */
        then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
        assert_string_equal(w.life.next.detail, "mpyd was killed by SIGKILL");
        assert_int_equal(w.life.next.ended_stage, BOARD_STAGE_OFF);
        assert_int_equal(w.life.n_crashes, 0);
        assert_string_equal(w.life.problem, "");
        PLAY(&w, HELLO, RECORDED, STAGE_INTERNAL, STAGE_BOOT);
        then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn"); /* a life as any other */
        assert_int_equal(w.life.n_crashes, 1);
}

static void test_leftover_that_goes_at_once(void **state) {
        World w = world_new();

        step(&w, &power_on_beside_a_leftover);
        then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
}

static void test_leftover_and_a_daemon_that_keeps_failing(void **state) {
        LifeEvent e = power_on_beside_a_leftover;
        World w = world_new();

        e.sleep_usec = 8 * SEC;
        step(&w, &e);
        then(&w, TIMER, LIFE_STUCK, "report-stuck");
        then(&w, EXITED, LIFE_WAITING, "record discard-input");
        assert_string_equal(w.life.problem, "mpyd keeps failing: mpyd was killed by SIGKILL");
        assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, 8 * SEC);
        then(&w, TIMER, LIFE_POWERING_ON, "spawn");
}

static void test_shutdown_beside_a_leftover(void **state) {
        World w = world_new();

        step(&w, &power_on_beside_a_leftover);
        then(&w, SHUTDOWN, LIFE_STOPPING, "");
        then(&w, TIMER, LIFE_STUCK, "report-stuck quit");

        w = world_new();
        step(&w, &power_on_beside_a_leftover);
        then(&w, SHUTDOWN, LIFE_STOPPING, "");
        then(&w, EXITED, LIFE_OFF, "quit");
}

static void test_deep_sleep(void **state) {
        World w = world_at(P_RUNNING);

        world_wait(&w, 3 * SEC);
        then(&w, ASKED_SLEEP, LIFE_STOPPING, "kill");
        then(&w, EXITED, LIFE_DEEP_SLEEP, "record-end");
        assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, 30 * SEC);
        assert_int_equal(w.life.next.cause, RESET_CAUSE_DEEPSLEEP); /* shown while it sleeps */
        assert_int_equal(w.life.next.ended_uptime_usec, 3 * SEC);
        assert_int_equal(w.life.next.ended_stage, BOARD_STAGE_MAIN);
        /* The host is suspended meanwhile: the sleep goes on. */
        w.now.boottime_usec += 10 * SEC;
        then(&w, TIMER, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.next.ended_uptime_usec, 0); /* told already */
        assert_int_equal(w.life.next.wake, LIFE_WAKE_TIME);
        assert_int_equal(w.life.n_hard, 2);
}

static void reset_by(World *w, bool attended, EventName stage, ResetKind kind) {
        PLAY(w, HELLO, RECORDED, STAGE_INTERNAL);
        happen(w, stage);
        step(w, &(LifeEvent) {
                        .type = LIFE_EVENT_ASKED,
                        .kind = kind,
                        .sleep_usec = 0,
                        .attended = attended,
                });
        happen(w, EXITED);
}

static void test_wake_by_a_line(void **state) {
        World w = world_at(P_SLEEP);

        then(&w, WAKE, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.next.cause, RESET_CAUSE_DEEPSLEEP);
        assert_int_equal(w.life.next.reason, RESET_REASON_DEEP_SLEEP_ALARM);
        assert_int_equal(w.life.next.wake, LIFE_WAKE_PIN);
        assert_string_equal(w.life.next.detail, "wake by GPIO4");
        PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ORDER_SOFT, EXITED); /* a chip forgets it as little */
        assert_int_equal(w.life.next.wake, LIFE_WAKE_PIN);
        PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ORDER_HARD, EXITED);
        assert_int_equal(w.life.next.wake, LIFE_WAKE_NONE);

        /* A storm of such sleeps is slowed down all the same. */
        w = world_at(P_SPAWNED);
        for (unsigned i = 0; i <= limits.burst; i++) {
                reset_by(&w, false, STAGE_MAIN, RESET_KIND_DEEPSLEEP);
                if (i < limits.burst)
                        then(&w, WAKE, LIFE_POWERING_ON, "record discard-input spawn");
        }
        then(&w, WAKE, LIFE_DEEP_SLEEP, "");
        then(&w, TIMER, LIFE_POWERING_ON, "record discard-input spawn");
}

static void test_deep_sleep_forever(void **state) {
        World w = world_at(P_SLEEP_FOREVER);

        assert_deadline_in(&w, LIFE_CLOCK_NONE, 0);
        world_wait(&w, 400 * USEC_PER_DAY);
        then(&w, TIMER, LIFE_DEEP_SLEEP, "");
        then(&w, ORDER_SOFT, LIFE_POWERING_ON, "record discard-input spawn");
}

/* A time beyond the clock's end is no wrap into the past. */
static void test_deep_sleep_past_the_end_of_time(void **state) {
        World w = world_at(P_RUNNING);

        step(&w, &(LifeEvent) {
                         .type = LIFE_EVENT_ASKED,
                         .kind = RESET_KIND_DEEPSLEEP,
                         .sleep_usec = FOREVER - 1,
                 });
        happen(&w, EXITED);
        assert_int_equal(w.life.deadline_usec, UINT64_MAX);
        step(&w, &(LifeEvent) { .type = LIFE_EVENT_TIMER });
        assert_int_equal(w.life.state, LIFE_DEEP_SLEEP);
}

/* Boards that fail before their first stage: 1, 2, 4 … 60 s, and 1 s again after one that worked. */
static void test_back_off(void **state) {
        static const unsigned seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
        static const struct {
                EventName route[4];
                size_t n;
                const char *actions;
        } ways[] = {
                { { SPAWN_FAILED }, 1, "" },
                { { EXITED }, 1, "record discard-input" },
                { { HELLO, EXITED }, 2, "record discard-input" },
                { { TIMER, EXITED }, 2, "record discard-input" },
                { { FAULT, EXITED }, 2, "record discard-input" },
                { { HELLO, ASKED_HARD, EXITED }, 3, "record discard-input" },
                { { HELLO, RECORDED, STAGE_INTERNAL, EXITED }, 4, "record discard-input" },
        };

        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                World w = world_at(P_SPAWNED);

                for (size_t i = 0; i < ELEMENTSOF(seconds); i++) {
                        play(&w, ways[k].route, ways[k].n);
                        assert_int_equal(w.life.state, LIFE_WAITING);
                        assert_string_equal(w.text, ways[k].actions);
                        assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, seconds[i] * SEC);
                        assert_int_equal(strncmp(w.life.problem, "the board does not start: ", 26), 0);
                        then(&w, TIMER, LIFE_POWERING_ON, "spawn");
                }
                assert_int_equal(w.life.n_delayed, 0); /* not by the rate limit */

                PLAY(&w, HELLO, RECORDED, STAGE_INTERNAL);
                assert_string_not_equal(w.life.problem, ""); /* _boot.py alone proves nothing */
                happen(&w, STAGE_BOOT);
                assert_string_equal(w.life.problem, "");
                PLAY(&w, ORDER_HARD, EXITED);
                happen(&w, SPAWN_FAILED);
                assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, 1 * SEC);
        }
}

static void test_back_off_of_strange_limits(void **state) {
        World w = world_new();
        LifeLimits l = limits;

        l.backoff_min_usec = UINT64_MAX / 3;
        l.backoff_max_usec = UINT64_MAX - 1;
        life_set_limits(&w.life, &l, w.now);
        happen(&w, POWER_ON);
        for (unsigned i = 0; i < 40; i++) {
                uint64_t before = w.life.deadline_usec;

                happen(&w, SPAWN_FAILED);
                if (i > 0)
                        assert_true(w.life.deadline_usec >= before);
                happen(&w, ORDER_HARD); /* an operator does not wait */
                assert_int_equal(w.life.state, LIFE_POWERING_ON);
                w.life.deadline_usec = before;
        }
}

/* What is decided before the board starts, and not durable yet, keeps the door shut as its record does. */
static void test_held_before_the_board(void **state) {
        World w = world_at(P_HELD);

        then(&w, RELEASE, LIFE_POWERING_ON, "spawn");
        then(&w, HELLO, LIFE_POWERING_ON, "boot"); /* it was recorded meanwhile */

        w = world_at(P_HELD);
        then(&w, RELEASE_UNRECORDED, LIFE_POWERING_ON, "spawn");
        then(&w, HELLO, LIFE_POWERING_ON, "");
        then(&w, RECORDED, LIFE_POWERING_ON, "boot");
        assert_string_equal(w.life.problem, "");

        /* A reset while it is held is a reset; the one who holds is asked again. */
        w = world_at(P_HELD);
        then(&w, ORDER_HARD, LIFE_POWERING_ON, "record discard-input spawn");
        then(&w, HOLD, LIFE_WAITING, "");
        assert_int_equal(w.n_records, 2);
        then(&w, RELEASE, LIFE_POWERING_ON, "spawn");
        assert_int_equal(w.life.next.reason, RESET_REASON_RESET_PIN);
}

/* One failure is recorded once, however often the same start is tried. */
static void test_spawn_failures_are_not_resets(void **state) {
        World w = world_at(P_SPAWNED);

        for (unsigned i = 0; i < 5; i++)
                PLAY(&w, SPAWN_FAILED, TIMER);
        assert_int_equal(w.n_records, 1);
        PLAY(&w, HELLO, RECORDED);
        assert_int_equal(w.life.next.cause, RESET_CAUSE_PWRON);
}

/* A storm: the burst is quick, then one a second; counted, and said. */
static void test_storm(void **state) {
        static const struct {
                bool attended;
                EventName stage;
                ResetKind kind;
                bool limited;
        } cases[] = {
                { true, STAGE_MAIN, RESET_KIND_HARD, true },
                { false, STAGE_MAIN, RESET_KIND_HARD, true },
                { false, STAGE_MAIN, RESET_KIND_SOFT, true },
                { false, STAGE_BOOT, RESET_KIND_SOFT, true },
                { true, STAGE_INTERNAL, RESET_KIND_HARD, true },
                { false, STAGE_REPL, RESET_KIND_HARD, true }, /* a timer that main.py left behind */
                { true, STAGE_REPL, RESET_KIND_HARD, false }, /* a person or a tool */
                { true, STAGE_REPL, RESET_KIND_SOFT, false },
        };

        for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
                World w = world_at(P_SPAWNED);

                for (unsigned i = 0; i < 10; i++) {
                        bool held = cases[k].limited && i >= limits.burst;

                        reset_by(&w, cases[k].attended, cases[k].stage, cases[k].kind);
                        assert_int_equal(w.life.state, held ? LIFE_WAITING : LIFE_POWERING_ON);
                        assert_true(did(&w, LIFE_ACTION_RECORD));
                        if (!held)
                                continue;
                        assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, 1 * SEC);
                        assert_string_equal(w.life.problem, "resets come too fast");
                        then(&w, TIMER, LIFE_POWERING_ON, "spawn");
                }
                assert_int_equal(w.life.n_delayed, cases[k].limited ? 10 - limits.burst : 0);
                assert_int_equal(w.life.n_crashes, 0);
        }
}

static void test_storm_of_crashes(void **state) {
        World w = world_at(P_SPAWNED);

        for (unsigned i = 0; i < 10; i++) {
                PLAY(&w, HELLO, RECORDED, STAGE_MAIN, EXITED);
                if (i >= limits.burst) {
                        assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, 1 * SEC);
                        happen(&w, TIMER);
                }
        }
        assert_int_equal(w.life.n_crashes, 10);
        assert_int_equal(w.life.n_delayed, 7);
}

/* A program that sleeps for no time in a loop is a storm, too. */
static void test_storm_of_sleeps(void **state) {
        World w = world_at(P_SPAWNED);

        for (unsigned i = 0; i < 10; i++) {
                reset_by(&w, false, STAGE_MAIN, RESET_KIND_DEEPSLEEP);
                assert_int_equal(w.life.state, LIFE_DEEP_SLEEP);
                assert_deadline_in(&w, LIFE_CLOCK_BOOTTIME, i < limits.burst ? 0 : 1 * SEC);
                assert_string_equal(w.life.problem, i < limits.burst ? "" : "resets come too fast");
                happen(&w, TIMER);
        }
        assert_int_equal(w.life.n_delayed, 7);
        assert_int_equal(w.life.n_hard, 11);
}

/* Operators are not held back, and do not use the program's tokens up. */
static void test_orders_are_not_a_storm(void **state) {
        World w = world_at(P_SPAWNED);

        for (unsigned i = 0; i < 50; i++) {
                PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ORDER_HARD);
                then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
                PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ORDER_SOFT);
                then(&w, EXITED, LIFE_POWERING_ON, "record spawn");
                PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ASKED_SOFT, ORDER_HARD);
                then(&w, EXITED, LIFE_POWERING_ON, "record discard-input spawn");
        }
        reset_by(&w, false, STAGE_MAIN, RESET_KIND_HARD);
        assert_int_equal(w.life.state, LIFE_POWERING_ON);
        assert_int_equal(w.life.n_delayed, 0);
}

static void test_order_ends_the_wait(void **state) {
        World w = world_at(P_SPAWNED);

        for (unsigned i = 0; i <= limits.burst; i++)
                reset_by(&w, false, STAGE_MAIN, RESET_KIND_HARD);
        assert_int_equal(w.life.state, LIFE_WAITING);
        then(&w, ORDER_HARD, LIFE_POWERING_ON, "record discard-input spawn");
        assert_int_equal(w.life.next.reason, RESET_REASON_RESET_PIN);
        assert_false(w.life.recorded);
        then(&w, HELLO, LIFE_POWERING_ON, "");
}

static void test_new_limits(void **state) {
        World w = world_at(P_SPAWNED);
        LifeLimits l = limits;

        for (unsigned i = 0; i <= limits.burst; i++)
                reset_by(&w, false, STAGE_MAIN, RESET_KIND_HARD);
        assert_int_equal(w.life.state, LIFE_WAITING);
        happen(&w, TIMER);

        l.interrupt_timeout_usec = 7 * SEC; /* has nothing to do with the bucket: it stays empty */
        life_set_limits(&w.life, &l, w.now);
        reset_by(&w, false, STAGE_MAIN, RESET_KIND_HARD);
        assert_int_equal(w.life.state, LIFE_WAITING);
        happen(&w, TIMER);

        l.burst = 5;
        life_set_limits(&w.life, &l, w.now);
        for (unsigned i = 0; i < 5; i++) {
                reset_by(&w, false, STAGE_MAIN, RESET_KIND_HARD);
                assert_int_equal(w.life.state, LIFE_POWERING_ON);
        }
        PLAY(&w, HELLO, RECORDED, STAGE_MAIN, ORDER_SOFT);
        assert_deadline_in(&w, LIFE_CLOCK_MONOTONIC, 7 * SEC);
}

/* "infinity" in the configuration: nothing is armed, nothing fires. */
static void test_no_timeouts(void **state) {
        World w = world_new();

        w.life.limits.start_timeout_usec = w.life.limits.commit_timeout_usec =
                w.life.limits.interrupt_timeout_usec = FOREVER;
        w.actions = life_handle(&w.life, &events[POWER_ON].event, w.now);
        assert_int_equal(w.life.deadline_clock, LIFE_CLOCK_NONE);
        world_wait(&w, USEC_PER_DAY);
        assert_int_equal(life_handle(&w.life, &events[TIMER].event, w.now).n, 0);
        assert_int_equal(life_handle(&w.life, &events[HELLO].event, w.now).n, 0);
        assert_int_equal(w.life.deadline_clock, LIFE_CLOCK_NONE);
        assert_int_equal(life_handle(&w.life, &events[RECORDED].event, w.now).n, 1);
        assert_int_equal(life_handle(&w.life, &events[STAGE_MAIN].event, w.now).n, 0);
        assert_int_equal(life_handle(&w.life, &events[ORDER_SOFT].event, w.now).n, 1);
        assert_int_equal(w.life.deadline_clock, LIFE_CLOCK_NONE);
        assert_int_equal(life_handle(&w.life, &events[ORDER_HARD].event, w.now).n, 1);
        assert_deadline_in(&w, LIFE_CLOCK_MONOTONIC, 5 * SEC);
}

/* Values that no honest board and no operator of ours sends. */
static void test_nonsense(void **state) {
        static const LifeEvent nonsense[] = {
                { .type = LIFE_EVENT_TYPE_MAX },
                { .type = LIFE_EVENT_STAGE, .stage = BOARD_STAGE_MAX },
                { .type = LIFE_EVENT_STAGE, .stage = BOARD_STAGE_INVALID },
                { .type = LIFE_EVENT_STAGE, .stage = BOARD_STAGE_OFF },
                { .type = LIFE_EVENT_ASKED, .kind = RESET_KIND_MAX },
                { .type = LIFE_EVENT_ASKED, .kind = RESET_KIND_INVALID },
                { .type = LIFE_EVENT_ORDER, .kind = RESET_KIND_MAX, .detail = "" },
                { .type = LIFE_EVENT_ORDER, .kind = RESET_KIND_DEEPSLEEP, .detail = "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
                World w = world_at(P_RUNNING);
                Life before = w.life;

                step(&w, &nonsense[i]);
                assert_int_equal(w.actions.n, 0);
                assert_memory_equal(&w.life, &before, sizeof before);
        }
}

static void test_long_details_are_cut(void **state) {
        char text[3 * LIFE_DETAIL_MAX];
        World w = world_at(P_RUNNING);

        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        step(&w, &(LifeEvent) { .type = LIFE_EVENT_FAULT, .detail = text });
        happen(&w, EXITED);
        assert_int_equal(strlen(w.life.next.detail), LIFE_DETAIL_MAX - 1);
        step(&w, &(LifeEvent) { .type = LIFE_EVENT_SPAWN_FAILED, .detail = text });
        assert_int_equal(strlen(w.life.problem), LIFE_DETAIL_MAX - 1);
}

/* ---- random walks ---- */

static uint64_t random_next(uint64_t *seed) { /* xorshift64* */
        *seed ^= *seed >> 12;
        *seed ^= *seed << 25;
        *seed ^= *seed >> 27;
        return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static void random_step(World *w, uint64_t *seed, bool may_shut_down) {
        uint64_t r = random_next(seed);
        EventName name = (EventName) (r >> 8) % (may_shut_down ? EVENT_MAX : SHUTDOWN);
        LifeEvent e = events[name].event;

        e.attended = r & 1;
        e.raw_repl = r & 2;
        if (r & 4)
                e.sleep_usec = (r >> 32) % (100 * SEC);
        if (r & 8) {
                e.exit_status = -1;
                e.signal = SIGSEGV;
        }
        if (name == TIMER || name == EARLY_TIMER)
                go_to_deadline(w, name == EARLY_TIMER);
        else
                world_wait(w, (r >> 40) % (100 * MSEC));
        if (r & 16) /* suspend */
                w->now.boottime_usec += (r >> 48) % SEC;
        step(w, &e);
}

static void test_random_walks(void **state) {
        uint64_t seed = 0x6d7079642d312e30, n_states[LIFE_STATE_MAX] = {};

        for (unsigned walk = 0; walk < 1000; walk++) {
                World w = world_new();

                step(&w, walk % 3 == 0 ? &power_on_beside_a_leftover : &events[POWER_ON].event);
                for (unsigned i = 0; i < 1000; i++) {
                        random_step(&w, &seed, walk % 10 == 0 && i > 500);
                        n_states[w.life.state]++;
                }
                assert_true(walk % 10 == 0 || w.n_records > 1);
        }
        for (LifeState s = 0; s < LIFE_STATE_MAX; s++)
                if (n_states[s] <= 100) /* it must come everywhere */
                        fail_msg("%s only %d times", life_state_to_string(s), (int) n_states[s]);
}

/* From anywhere, a board that behaves gets to its REPL: no state is a trap. */
static void test_always_a_way_out(void **state) {
        uint64_t seed = 1;

        for (unsigned walk = 0; walk < 2000; walk++) {
                World w = world_new();

                happen(&w, POWER_ON);
                for (unsigned i = 0; i < walk % 50; i++)
                        random_step(&w, &seed, false);
                for (unsigned i = 0; i < 10 && w.life.state != LIFE_IDLE; i++) {
                        if (w.life.state == LIFE_STOPPING || w.life.state == LIFE_STUCK)
                                happen(&w, EXITED);
                        else if (w.life.state == LIFE_DEEP_SLEEP)
                                happen(&w, ORDER_HARD);
                        else if (w.life.state == LIFE_WAITING)
                                happen(&w, w.life.held ? RELEASE : TIMER);
                        else
                                PLAY(&w, HELLO, RECORDED, STAGE_INTERNAL, STAGE_BOOT, STAGE_MAIN,
                                     STAGE_REPL);
                }
                assert_int_equal(w.life.state, LIFE_IDLE);
                assert_string_equal(w.life.problem, "");
        }
}

static void test_names_of_enums(void **state) {
        for (LifeState s = 0; s < LIFE_STATE_MAX; s++)
                assert_non_null(life_state_to_string(s));
        assert_null(life_state_to_string(LIFE_STATE_MAX));
        assert_null(life_state_to_string(LIFE_STATE_INVALID));
        for (LifeAction a = 0; a < LIFE_ACTION_MAX; a++)
                assert_non_null(life_action_to_string(a));
        assert_null(life_action_to_string(LIFE_ACTION_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_shutdown),
                cmocka_unit_test(test_shutdown_of_a_program_that_does_not_end),
                cmocka_unit_test(test_shutdown_ends_in_good_order),
                cmocka_unit_test(test_watchdog),
                cmocka_unit_test(test_watchdog_is_too_late),
                cmocka_unit_test(test_storm_of_bites),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_crash_by_signal),
                cmocka_unit_test(test_crash_while_it_ends),
                cmocka_unit_test(test_order_before_it_sleeps),
                cmocka_unit_test(test_power_on),
                cmocka_unit_test(test_record_before_hello),
                cmocka_unit_test(test_late_record),
                cmocka_unit_test(test_soft_reset_does_not_wait_for_the_disk),
                cmocka_unit_test(test_raw_repl_lasts_one_reset),
                cmocka_unit_test(test_raw_repl_over_an_order),
                cmocka_unit_test(test_reason_survives_soft_resets),
                cmocka_unit_test(test_forced_stop),
                cmocka_unit_test(test_forced_stop_in_finalisers),
                cmocka_unit_test(test_asked_and_did_not_exit),
                cmocka_unit_test(test_stuck),
                cmocka_unit_test(test_leftover_of_an_earlier_run),
                cmocka_unit_test(test_leftover_that_goes_at_once),
                cmocka_unit_test(test_leftover_and_a_daemon_that_keeps_failing),
                cmocka_unit_test(test_shutdown_beside_a_leftover),
                cmocka_unit_test(test_deep_sleep),
                cmocka_unit_test(test_wake_by_a_line),
                cmocka_unit_test(test_deep_sleep_forever),
                cmocka_unit_test(test_deep_sleep_past_the_end_of_time),
                cmocka_unit_test(test_back_off),
                cmocka_unit_test(test_back_off_of_strange_limits),
                cmocka_unit_test(test_held_before_the_board),
                cmocka_unit_test(test_spawn_failures_are_not_resets),
                cmocka_unit_test(test_storm),
                cmocka_unit_test(test_storm_of_crashes),
                cmocka_unit_test(test_storm_of_sleeps),
                cmocka_unit_test(test_orders_are_not_a_storm),
                cmocka_unit_test(test_order_ends_the_wait),
                cmocka_unit_test(test_new_limits),
                cmocka_unit_test(test_no_timeouts),
                cmocka_unit_test(test_nonsense),
                cmocka_unit_test(test_long_details_are_cut),
                cmocka_unit_test(test_random_walks),
                cmocka_unit_test(test_always_a_way_out),
                cmocka_unit_test(test_names_of_enums),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
