/* SPDX-License-Identifier: MIT */
/* Asking the supervisor for GPIO lines: see pin-link.h. */
#include "board/pin-link.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "board/link.h"

static struct {
        pthread_mutex_t question; /* held by who asks */
        pthread_mutex_t lock;     /* of what follows */
        pthread_cond_t answered;
        uint32_t ticket;
        PinAnswer *answer; /* what is waited for: one of them, or none */
        PinNames *names;
} pin_link = {
        .question = PTHREAD_MUTEX_INITIALIZER,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .answered = PTHREAD_COND_INITIALIZER,
};

static void ask(LinkMessage *m, uint32_t *ticket, PinAnswer *answer, PinNames *names) {
        pthread_mutex_lock(&pin_link.question);
        pthread_mutex_lock(&pin_link.lock);
        *ticket = ++pin_link.ticket;
        pin_link.answer = answer;
        pin_link.names = names;
        link_send(m);
        while (pin_link.answer || pin_link.names)
                pthread_cond_wait(&pin_link.answered, &pin_link.lock);
        pthread_mutex_unlock(&pin_link.lock);
        pthread_mutex_unlock(&pin_link.question);
}

void pin_link_ask(const char *name, PinAnswer *ret) {
        LinkMessage m = { .type = LINK_PIN, .pin = { .name = name, .name_size = strlen(name) } };

        ask(&m, &m.pin.ticket, ret, NULL);
}

void pin_link_ask_names(uint32_t from, PinNames *ret) {
        LinkMessage m = { .type = LINK_PIN_LIST, .pin_names = { .position = from } };

        ask(&m, &m.pin_names.ticket, NULL, ret);
}

void pin_link_answer(const LinkPinLine *m, int fd) {
        pthread_mutex_lock(&pin_link.lock);
        if (!pin_link.answer || m->ticket != pin_link.ticket || (m->error == 0) != (fd >= 0))
                board_exit_fatal("The supervisor sent a line that nobody has asked for.");
        pin_link.answer->line = *m;
        (void) snprintf(pin_link.answer->text, sizeof pin_link.answer->text, "%.*s", (int) m->text_size,
                        m->text ? m->text : "");
        pin_link.answer->line.text = pin_link.answer->text;
        pin_link.answer->fd = fd;
        pin_link.answer = NULL;
        pthread_cond_signal(&pin_link.answered);
        pthread_mutex_unlock(&pin_link.lock);
}

void pin_link_answer_names(const LinkPinNames *m) {
        pthread_mutex_lock(&pin_link.lock);
        if (!pin_link.names || m->ticket != pin_link.ticket)
                board_exit_fatal("The supervisor sent names of lines that nobody has asked for.");
        pin_link.names->next = m->position;
        pin_link.names->size = m->names_size;
        if (m->names_size > 0)
                memcpy(pin_link.names->names, m->names, m->names_size);
        pin_link.names = NULL;
        pthread_cond_signal(&pin_link.answered);
        pthread_mutex_unlock(&pin_link.lock);
}
