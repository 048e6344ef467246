/* SPDX-License-Identifier: MIT */
/* mpyctl: the operator's tool. */
#include "ctl/ctl.h"

static const Verb *const verbs[] = {
        &verb_status, &verb_top, &verb_doctor, &verb_repl, &verb_reset, &verb_safe_mode, &verb_interrupt, &verb_eval,
        &verb_exec, &verb_run,
        &verb_log, &verb_history, &verb_metrics, &verb_pin, &verb_ls, &verb_tree, &verb_cat, &verb_edit, &verb_cp,
        &verb_mip, &verb_mkdir, &verb_touch, &verb_mv, &verb_rm, &verb_df, &verb_reload, &verb_restart,
        &verb_factory_reset, &verb_notify, &verb_snooze, NULL,
};

int main(int argc, char *argv[]) {
        return ctl_main(argc, argv, verbs);
}
