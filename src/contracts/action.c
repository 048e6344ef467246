/* SPDX-License-Identifier: MIT */
/* Names of the verbs and answers in include/mpyd/action.h. */
#include "mpyd/action.h"

#include <stddef.h>
#include <string.h>

#include "util/macros.h"

static const char *const verbs[ACTION_VERB_MAX] = {
        [ACTION_REBOOT] = "reboot",
        [ACTION_COMMAND] = "command",
        [ACTION_WEBHOOK] = "webhook",
        [ACTION_FACTORY_RESET] = "factory-reset",
        [ACTION_MAKE_ROOM] = "make-room",
        [ACTION_REBIND] = "rebind",
        [ACTION_RADIO] = "radio",
};

static const char *const erasures[FACTORY_RESET_ERASE_MAX] = {
        [FACTORY_RESET_ERASE_NEVER] = "never",
        [FACTORY_RESET_ERASE_NEEDED] = "needed",
        [FACTORY_RESET_ERASE_ALWAYS] = "always",
};

static const char *const results[ACTION_RESULT_MAX] = {
        [ACTION_OK] = "ok",
        [ACTION_AGAIN] = "again",
        [ACTION_FAILED] = "failed",
};

const char *action_verb_to_string(ActionVerb v) {
        return v >= 0 && v < ACTION_VERB_MAX ? verbs[v] : NULL;
}

ActionVerb action_verb_from_string(const char *s) {
        for (int i = 0; s && i < ACTION_VERB_MAX; i++)
                if (streq(verbs[i], s))
                        return (ActionVerb) i;
        return ACTION_VERB_INVALID;
}

const char *action_result_to_string(ActionResult r) {
        return r >= 0 && r < ACTION_RESULT_MAX ? results[r] : NULL;
}

const char *factory_reset_erase_to_string(FactoryResetErase e) {
        return e >= 0 && e < FACTORY_RESET_ERASE_MAX ? erasures[e] : NULL;
}

FactoryResetErase factory_reset_erase_from_string(const char *s) {
        for (int i = 0; s && i < FACTORY_RESET_ERASE_MAX; i++)
                if (streq(erasures[i], s))
                        return (FactoryResetErase) i;
        return FACTORY_RESET_ERASE_INVALID;
}

ActionResult action_answer_parse(const char *text, const char **ret_why) {
        size_t n = strcspn(text, " ");

        *ret_why = text + n + (text[n] == ' ');
        for (int i = 0; i < ACTION_RESULT_MAX; i++)
                if (strlen(results[i]) == n && memcmp(results[i], text, n) == 0)
                        return (ActionResult) i;
        return ACTION_RESULT_INVALID;
}
