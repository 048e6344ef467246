/* SPDX-License-Identifier: MIT */
/* Findings as values and as JSON. */
#include "host/evidence.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/text.h"

const char *confidence_to_string(Confidence c) {
        static const char *const names[CONFIDENCE_MAX] = {
                [CONFIDENCE_CERTAIN] = "certain",
                [CONFIDENCE_LIKELY] = "likely",
                [CONFIDENCE_POSSIBLE] = "possible",
        };

        return c >= 0 && c < CONFIDENCE_MAX ? names[c] : NULL;
}

void evidence_add(Evidence *e, const char *finding, Confidence c, const char *source, const char *format,
                  ...) {
        EvidenceItem *item;
        va_list ap;

        if (e->n == EVIDENCE_ITEMS_MAX)
                return;
        item = &e->items[e->n++];
        *item = (EvidenceItem) { .finding = finding, .confidence = c };
        (void) snprintf(item->source, sizeof item->source, "%s", source);
        va_start(ap, format);
        (void) vsnprintf(item->detail, sizeof item->detail, format, ap);
        va_end(ap);
}

char *evidence_to_json(const Evidence *e) {
        json_t *array = json_array();
        char *text = NULL;
        int r = e->n > 0 ? 0 : -ENODATA;

        for (size_t i = 0; i < e->n && r >= 0; i++) {
                const EvidenceItem *item = &e->items[i];
                char source[EVIDENCE_SOURCE_MAX], detail[EVIDENCE_DETAIL_MAX];

                (void) text_sanitise(source, sizeof source, item->source, strlen(item->source), false);
                (void) text_sanitise(detail, sizeof detail, item->detail, strlen(item->detail), false);
                r = json_array_append_new(array,
                                          json_pack("{s:s, s:s, s:s, s:s}", "finding", item->finding,
                                                    "source", source, "confidence",
                                                    confidence_to_string(item->confidence), "detail",
                                                    detail));
        }
        if (r >= 0)
                text = json_dumps(array, JSON_COMPACT);
        json_decref(array);
        return text;
}
