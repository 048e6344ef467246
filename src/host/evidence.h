/* SPDX-License-Identifier: MIT */
/* Why a reset was taken for what it was: findings, each with its source and how sure it is. The history
 * keeps them beside the reset, `mpyctl history show` prints them. */
#pragma once

#include <errno.h>
#include <stddef.h>

#include "util/macros.h"

typedef enum Confidence {
        CONFIDENCE_CERTAIN = 0, /* recorded by who did it, or by the kernel */
        CONFIDENCE_LIKELY,      /* other explanations are rare */
        CONFIDENCE_POSSIBLE,    /* it fits, as others do */
        CONFIDENCE_MAX,
        CONFIDENCE_INVALID = -EINVAL,
} Confidence;

const char *confidence_to_string(Confidence c);

#define EVIDENCE_SOURCE_MAX 96u
#define EVIDENCE_DETAIL_MAX 200u

typedef struct EvidenceItem {
        const char *finding; /* static, kebab-case */
        Confidence confidence;
        char source[EVIDENCE_SOURCE_MAX];
        char detail[EVIDENCE_DETAIL_MAX];
} EvidenceItem;

#define EVIDENCE_ITEMS_MAX 8u

typedef struct Evidence {
        EvidenceItem items[EVIDENCE_ITEMS_MAX];
        size_t n;
} Evidence;

/* Texts are cut, and made fit to be printed by evidence_to_json(). What does not fit in is left out: the
 * strongest is added first. */
void evidence_add(Evidence *e, const char *finding, Confidence c, const char *source, const char *format,
                  ...) _printf_(5, 6);

/* As the history stores it: [{"finding", "source", "confidence", "detail"}, …]; NULL when there are none,
 * or no memory. The caller frees it. */
char *evidence_to_json(const Evidence *e);
