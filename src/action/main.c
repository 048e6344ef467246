/* SPDX-License-Identifier: MIT */
/* mpyd-action: takes one request from its standard input, does it, answers, ends. */
#include <getopt.h>
#include <stdio.h>
#include <sys/socket.h>

#include "action/action.h"
#include "config/config.h"
#include "mpyd/control.h"
#include "util/log.h"

static int help(void) {
        printf("mpyd-action [--config FILE] [--state-dir DIR] [--sys DIR]\n\n"
               "Does for mpyd what mpyd has no right to: reboots the host, tells its owner, resets\n"
               "the files to those of the package, takes a network interface from its driver and\n"
               "gives it back, switches its radio.\n"
               "It is started by mpyd-action.socket, or by an mpyd in the foreground, with a\n"
               "socket as its standard input. There is nothing in it for the command line:\n"
               "`mpyctl notify` tries the notification.\n");
        return 0;
}

/* What the owner has configured, told to them. */
static ActionResult tell(ActionVerb verb, const char *config_path, const json_t *request,
                         char why[static WHY_MAX]) {
        ActionResult result;
        Config c;

        if (config_load(config_path, false, &c) < 0) {
                (void) snprintf(why, WHY_MAX, "%s cannot be read", config_path);
                return ACTION_AGAIN;
        }
        if (streq(verb == ACTION_COMMAND ? c.notify.command : c.notify.url, "none")) {
                (void) snprintf(why, WHY_MAX, "[notify] %s is none",
                                verb == ACTION_COMMAND ? "command" : "url");
                result = ACTION_FAILED;
        } else
                result = verb == ACTION_COMMAND ? run_command(c.notify.command, request, why)
                                                : post_webhook(c.notify.url, request, why);
        config_done(&c);
        return result;
}

/* The daemon names its state directory only to be sure that we mean the same one. */
static ActionResult act_on_files(ActionVerb verb, const char *config_path, const char *state_dir,
                                 const json_t *request, char why[static WHY_MAX]) {
        const char *state = json_string_value(json_object_get(request, "state"));
        ActionPlace place = { .state_dir = state_dir };
        ActionResult result;
        Config c;

        if (!state || !streq(state, state_dir)) {
                (void) snprintf(why, WHY_MAX, "mpyd's files are in %.100s, mpyd-action would look in %.100s; give "
                                              "its service the option --state-dir",
                                state ?: "an unknown place", state_dir);
                return ACTION_FAILED;
        }
        if (config_load(config_path, false, &c) < 0) {
                (void) snprintf(why, WHY_MAX, "%s cannot be read", config_path);
                return ACTION_AGAIN;
        }
        place.user = c.board.user;
        place.defaults = streq(c.board.defaults, "package") ? MPYD_FLASH_DEFAULTS : c.board.defaults;
        result = verb == ACTION_FACTORY_RESET ? factory_reset(&place, request, why) : make_room(&place, why);
        config_done(&c);
        return result;
}

static ActionResult act_on_interface(ActionVerb verb, const char *sys, const json_t *request,
                                     char why[static WHY_MAX]) {
        const char *interface = json_string_value(json_object_get(request, "interface"));
        const json_t *on = json_object_get(request, "on");

        if (verb == ACTION_REBIND)
                return rebind_driver(sys, interface, why);
        if (json_is_boolean(on))
                return switch_radio(sys, interface, json_is_true(on), why);
        (void) snprintf(why, WHY_MAX, "not a request: on is neither true nor false");
        return ACTION_FAILED;
}

typedef struct Arguments {
        const char *config_path, *state_dir, *sys;
} Arguments;

static ActionResult act(const Arguments *a, const char *text, size_t size, char why[static WHY_MAX]) {
        json_error_t error;
        json_t *request = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        const char *verb = json_string_value(json_object_get(request, "verb"));
        const char *reason = json_string_value(json_object_get(request, "why"));
        ActionVerb v = action_verb_from_string(verb);
        ActionResult result = ACTION_FAILED;

        switch (v) {
        case ACTION_REBOOT:
                result = reboot_host(reason ?: "mpyd asks for it", why);
                break;
        case ACTION_COMMAND:
        case ACTION_WEBHOOK:
                result = tell(v, a->config_path, request, why);
                break;
        case ACTION_FACTORY_RESET:
        case ACTION_MAKE_ROOM:
                result = act_on_files(v, a->config_path, a->state_dir, request, why);
                break;
        case ACTION_REBIND:
        case ACTION_RADIO:
                result = act_on_interface(v, a->sys, request, why);
                break;
        case ACTION_VERB_MAX:
        case ACTION_VERB_INVALID:
                (void) snprintf(why, WHY_MAX, "not a request: %s",
                                !request ? error.text : verb ? verb : "it has no verb");
                break;
        }
        json_decref(request);
        return result;
}

/* Only root, or whom we run as, may ask, whatever the socket's mode came to be. */
static bool may_ask(void) {
        struct ucred peer;
        socklen_t size = sizeof peer;

        return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
               (peer.uid == 0 || peer.uid == geteuid());
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "state-dir", required_argument, NULL, 's' },
                { "sys", required_argument, NULL, 'y' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        Arguments a = { MPYD_CONFIG_FILE, CONTROL_DEFAULT_STATE_DIR, "/sys" };
        char text[ACTION_REQUEST_MAX], why[WHY_MAX] = "", answer[ACTION_ANSWER_MAX];
        ActionResult result;
        ssize_t n;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        a.config_path = optarg;
                        break;
                case 's':
                        a.state_dir = optarg;
                        break;
                case 'y':
                        a.sys = optarg;
                        break;
                case 'h':
                        return help();
                default:
                        return 2;
                }
        log_open("mpyd-action");
        if (!may_ask()) {
                log_error("The standard input is no socket of mpyd's; see mpyd-action --help.");
                return 2;
        }
        n = recv(STDIN_FILENO, text, sizeof text, MSG_TRUNC);
        if (n <= 0 || (size_t) n > sizeof text) {
                log_error("No request, or one of more than %zu bytes.", sizeof text);
                return EXIT_FAILURE;
        }
        result = act(&a, text, (size_t) n, why);
        (void) snprintf(answer, sizeof answer, "%s%s%s", action_result_to_string(result), *why ? " " : "",
                        why);
        if (send(STDIN_FILENO, answer, strlen(answer), MSG_NOSIGNAL) < 0)
                log_debug("Nobody waits for the answer any more: %s", strerrordesc_np(errno));
        return result == ACTION_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
