/* SPDX-License-Identifier: MIT */
/* mpyctl eval: the value of a Python expression on the board. */
#include <jansson.h>
#include <stdio.h>
#include <sys/random.h>

#include "ctl/code-run.h"
#include "ctl/style.h"

/* What a program may print before its value, for --json; more is dropped and said so. */
#define PRINTED_MAX (1024u * 1024)

typedef struct Capture {
        char *printed;
        size_t printed_size;
        char *error;
        size_t error_size;
} Capture;

static int append(char **text, size_t *size, const char *data, size_t n) {
        char *bigger;

        n = MIN(n, PRINTED_MAX - *size);
        bigger = realloc(*text, *size + n + 1);
        if (!bigger)
                return -ENOMEM;
        memcpy(bigger + *size, data, n);
        *size += n;
        bigger[*size] = '\0';
        *text = bigger;
        return 0;
}

static int on_printed(void *userdata, const char *data, size_t size) {
        Capture *cap = userdata;

        return append(&cap->printed, &cap->printed_size, data, size);
}

static int on_error(void *userdata, const char *data, size_t size) {
        Capture *cap = userdata;

        return append(&cap->error, &cap->error_size, data, size);
}

/* json_string() refuses what is not UTF-8; a program may print anything. */
static json_t *json_text(const char *s, size_t size) {
        json_t *j = json_stringn(s ? s : "", size);

        if (!j) {
                char *copy = strndup(s, size);

                if (!copy)
                        return NULL;
                for (char *p = copy; *p; p++)
                        if ((unsigned char) *p >= 0x80)
                                *p = '?';
                j = json_string(copy);
                free(copy);
        }
        return j;
}

/* printed, MARK repr LF, MARK json LF → object. */
static json_t *result_object(const Capture *cap, const char *mark, int code) {
        json_t *o = json_object();
        const char *text = cap->printed ? cap->printed : "", *value, *as_json;
        size_t n = cap->printed_size;

        json_object_set_new(o, "ok", json_boolean(code == CTL_EXIT_OK));
        value = strstr(text, mark);
        if (value) {
                n = (size_t) (value - text);
                value += strlen(mark);
                as_json = strstr(value, mark);
                if (as_json) {
                        size_t size = (size_t) (as_json - value);
                        json_t *j;

                        json_object_set_new(o, "repr", json_text(value, size ? size - 1 : 0));
                        /* What JSON cannot say comes out as no JSON at all: then there is no
                         * value. */
                        j = json_loads(as_json + strlen(mark), JSON_DECODE_ANY, NULL);
                        if (j)
                                json_object_set_new(o, "value", j);
                }
        }
        json_object_set_new(o, "printed", json_text(text, n));
        json_object_set_new(o, "error",
                            cap->error ? json_text(cap->error, cap->error_size) : json_null());
        return o;
}

static int eval_json(const Ctl *c, CodeRun *run, const char *expression) {
        Capture cap = {};
        uint64_t nonce;
        char mark[32];
        json_t *o;
        int code;
        FILE *f;

        if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t) sizeof(nonce))
                nonce = (uint64_t) getpid();
        (void) snprintf(mark, sizeof(mark), "<%016llx>", (unsigned long long) nonce);

        f = open_memstream((char **) &run->code, &run->size);
        if (!f)
                return CTL_EXIT_FAILURE;
        /* In a namespace of its own: nothing is left behind in the board's globals. */
        fprintf(f,
                "exec(\"print('%s'+repr(v))\\ntry:\\n import json\\n v=json.dumps(v)\\n"
                "except Exception:\\n v=''\\nprint('%s'+v)\",{\"v\":eval(",
                mark, mark);
        code_put_literal(f, expression);
        fputs(")})\n", f);
        if (fclose(f) != 0)
                return CTL_EXIT_FAILURE;
        run->output = on_printed;
        run->error_output = on_error;
        run->userdata = &cap;
        code = code_run(c, run);
        if (code <= CTL_EXIT_EXCEPTION) {
                o = result_object(&cap, mark, code);
                json_dumpf(o, stdout, JSON_COMPACT);
                fputc('\n', stdout);
                json_decref(o);
        } else if (cap.printed)
                fwrite(cap.printed, 1, cap.printed_size, stderr);
        free((char *) run->code);
        free(cap.printed);
        free(cap.error);
        return code;
}

static int eval_run(const Ctl *c, const Invocation *in) {
        CodeRun run = { .verb = "eval" };
        FILE *f;
        int r;

        r = code_run_parse(&run, in);
        if (r > 0)
                return r;
        if (c->json)
                return eval_json(c, &run, in->arguments[0]);
        f = open_memstream((char **) &run.code, &run.size);
        if (!f)
                return CTL_EXIT_FAILURE;
        fputs("print(repr(eval(", f);
        code_put_literal(f, in->arguments[0]);
        fputs(")))\n", f);
        if (fclose(f) != 0)
                return CTL_EXIT_FAILURE;
        r = code_run(c, &run);
        free((char *) run.code);
        return r;
}

static const struct option options[] = { CODE_OPTIONS, {} };

const Verb verb_eval = {
        .name = "eval",
        .summary = "print the value of a Python expression",
        .usage = "[OPTIONS] EXPR",
        .help = "Evaluates EXPR on the board, in a fresh VM (a soft reset first, boot.py runs,\n"
                "main.py does not until the next soft reset), and prints its repr().\n"
                "With --json: an object with ok, printed, error (the traceback, or null) and, when\n"
                "there was none, repr and value (where JSON can say it).\n\n"
                "Options:\n" CODE_OPTIONS_HELP "\n"
                "Examples:\n"
                "  mpyctl eval '2**100'\n"
                "  mpyctl eval --resume --restart '__import__(\"machine\").reset_cause()'\n"
                "  mpyctl --json eval '{\"a\": [1, 2]}' | jq .value.a\n\n" CODE_EXIT_HELP,
        .letters = "",
        .options = options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = eval_run,
};
