/* Sends prepared messages to a server over connections that are used again, with PIPELINING, and tells what became of
   each. Beside servers that check mail it costs nothing: some microseconds a message.

       replay_source PORT CONNECTIONS < MESSAGES > OUTCOMES

   MESSAGES: for each, the length of its commands (MAIL, RCPT and DATA) as four octets in network order and these, then
   the same for its data, dots doubled and the end included. Each connection says with XCLIENT that it is one of
   192.0.2.1 and so on. OUTCOMES: an octet for each message, in their order: A accepted, M R D refused at MAIL, RCPT or
   the end of data, 4 deferred; then the seconds that it took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINE 4096
#define MOST 256

struct message { const char *commands, *data; uint32_t commands_length, data_length; };
enum state { GREETING, HELLO, XCLIENT, AGAIN, COMMANDS, DATA, CLOSED };
struct connection {
    int socket;
    enum state state;
    int expected;           /* replies until all are there */
    int reset;              /* the first of them is that of RSET */
    int codes[4], replies;
    long message;
    const char *out;
    size_t out_length;
    char line[LINE];
    size_t line_length;
    char own[LINE + 8];
};

static struct message *messages;
static long count, next_message;
static char *outcomes;
static struct connection connections[MOST];
static int port;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void flush(struct connection *c) {
    while (c->out_length) {
        ssize_t sent = send(c->socket, c->out, c->out_length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            fail("send");
        }
        c->out += sent;
        c->out_length -= (size_t)sent;
    }
}

static void say(struct connection *c, const char *octets, size_t length, int expected) {
    c->out = octets;
    c->out_length = length;
    c->expected = expected;
    c->replies = 0;
    flush(c);
}

static void say_text(struct connection *c, const char *text) { say(c, text, strlen(text), 1); }

static void begin(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = GREETING;
    c->expected = 1;
    c->replies = 0;
    c->reset = 0;
    c->line_length = 0;
    c->message = -1;
}

static void take(struct connection *c) {
    struct message *m;
    if (next_message == count) {
        c->state = CLOSED;
        close(c->socket);
        return;
    }
    c->message = next_message++;
    m = &messages[c->message];
    c->state = COMMANDS;
    if (c->reset) {  /* what was refused left something behind */
        memcpy(c->own, "RSET\r\n", 6);
        if (m->commands_length > LINE) fail("commands");
        memcpy(c->own + 6, m->commands, m->commands_length);
        say(c, c->own, m->commands_length + 6, 4);
    } else {
        say(c, m->commands, m->commands_length, 3);
    }
}

static char refused(int code, char stage) { return code / 100 == 4 ? '4' : stage; }

static void answered(struct connection *c) {
    static char text[MOST][64];
    long number = c - connections;
    const int *codes = c->codes + c->reset;
    switch (c->state) {
    case GREETING:
        c->state = HELLO;
        say_text(c, "EHLO client.example\r\n");
        break;
    case HELLO:
        c->state = XCLIENT;
        snprintf(text[number], sizeof text[number], "XCLIENT ADDR=192.0.2.%ld\r\n", number + 1);
        say_text(c, text[number]);
        break;
    case XCLIENT:
        if (c->codes[0] != 220) fail("XCLIENT was refused");
        c->state = AGAIN;
        say_text(c, "EHLO client.example\r\n");
        break;
    case AGAIN:
        take(c);
        break;
    case COMMANDS:
        if (codes[2] == 354) {
            c->state = DATA;
            c->reset = 0;
            say(c, messages[c->message].data, messages[c->message].data_length, 1);
            break;
        }
        outcomes[c->message] = codes[0] / 100 != 2   ? refused(codes[0], 'M')
                               : codes[1] / 100 != 2 ? refused(codes[1], 'R')
                                                     : refused(codes[2], 'D');
        c->reset = 1;
        take(c);
        break;
    case DATA:
        outcomes[c->message] = c->codes[0] == 250 ? 'A' : refused(c->codes[0], 'D');
        take(c);
        break;
    case CLOSED:
        break;
    }
}

static void receive(struct connection *c) {
    char octets[65536];
    ssize_t length = recv(c->socket, octets, sizeof octets, 0);
    if (length <= 0) {  /* it had enough of us: another connection goes on */
        if (c->message >= 0 && !outcomes[c->message]) outcomes[c->message] = '4';
        close(c->socket);
        begin(c);
        return;
    }
    for (ssize_t at = 0; at < length; at++) {
        if (c->line_length < LINE) c->line[c->line_length++] = octets[at];
        if (octets[at] != '\n') continue;
        if (c->line_length > 3 && c->line[3] != '-') {
            if (c->replies < 4) c->codes[c->replies++] = atoi(c->line);
            if (c->replies == c->expected) {
                c->line_length = 0;
                answered(c);
                if (c->state == CLOSED) return;
                continue;
            }
        }
        c->line_length = 0;
    }
}

static uint32_t number(FILE *file) {
    unsigned char octets[4];
    if (fread(octets, 1, 4, file) != 4) return UINT32_MAX;
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

static const char *text(FILE *file, uint32_t length) {
    char *octets = malloc(length ? length : 1);
    if (!octets || fread(octets, 1, length, file) != length) fail("input");
    return octets;
}

int main(int argc, char **argv) {
    struct pollfd polled[MOST];
    struct timespec begun, ended;
    long open;
    int width = argc > 2 ? atoi(argv[2]) : 20;
    port = argc > 1 ? atoi(argv[1]) : 25;
    if (width < 1 || width > 254) return 2;
    for (uint32_t length; (length = number(stdin)) != UINT32_MAX; count++) {
        if (count % 1024 == 0) messages = realloc(messages, sizeof *messages * (size_t)(count + 1024));
        messages[count].commands = text(stdin, messages[count].commands_length = length);
        length = number(stdin);
        messages[count].data = text(stdin, messages[count].data_length = length);
    }
    outcomes = calloc((size_t)count + 1, 1);
    for (int at = 0; at < width; at++) begin(&connections[at]);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        open = 0;
        for (int at = 0; at < width; at++) {
            struct connection *c = &connections[at];
            polled[at].fd = c->state == CLOSED ? -1 : c->socket;
            polled[at].events = (short)(POLLIN | (c->out_length ? POLLOUT : 0));
            open += c->state != CLOSED;
        }
        if (!open) break;
        if (poll(polled, (nfds_t)width, 120000) <= 0) fail("nothing comes");
        for (int at = 0; at < width; at++) {
            struct connection *c = &connections[at];
            if (polled[at].fd < 0) continue;
            if (polled[at].revents & POLLOUT) flush(c);
            if (polled[at].revents & (POLLIN | POLLHUP | POLLERR)) receive(c);
        }
    } while (1);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    fwrite(outcomes, 1, (size_t)count, stdout);
    printf(" %.6f\n", (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
    return 0;
}
