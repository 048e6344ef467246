/* SPDX-License-Identifier: MIT */
/* Asking the supervisor for a GPIO line: see pin-link.h. */
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
        bool waiting;
        PinAnswer *answer;
} pin_link = {
        .question = PTHREAD_MUTEX_INITIALIZER,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .answered = PTHREAD_COND_INITIALIZER,
};

void pin_link_ask(const char *name, PinAnswer *ret) {
        LinkMessage m = { .type = LINK_PIN, .pin = { .name = name, .name_size = strlen(name) } };

        pthread_mutex_lock(&pin_link.question);
        pthread_mutex_lock(&pin_link.lock);
        m.pin.ticket = ++pin_link.ticket;
        pin_link.answer = ret;
        pin_link.waiting = true;
        link_send(&m);
        while (pin_link.waiting)
                pthread_cond_wait(&pin_link.answered, &pin_link.lock);
        pthread_mutex_unlock(&pin_link.lock);
        pthread_mutex_unlock(&pin_link.question);
}

void pin_link_answer(const LinkPinLine *m, int fd) {
        pthread_mutex_lock(&pin_link.lock);
        if (!pin_link.waiting || m->ticket != pin_link.ticket || (m->error == 0) != (fd >= 0))
                board_exit_fatal("The supervisor sent a line that nobody has asked for.");
        pin_link.answer->line = *m;
        (void) snprintf(pin_link.answer->text, sizeof pin_link.answer->text, "%.*s", (int) m->text_size,
                        m->text ? m->text : "");
        pin_link.answer->line.text = pin_link.answer->text;
        pin_link.answer->fd = fd;
        pin_link.waiting = false;
        pthread_cond_signal(&pin_link.answered);
        pthread_mutex_unlock(&pin_link.lock);
}
