/* What recording costs at least: the bytes of every publisher from TCP to a file of its own, and nothing else.
 *
 *   sink through|buffer FOLDER
 *
 * `through` waits for a readable socket and makes one write of each read; `buffer` looks at all sockets every 50 ms, reads them
 * empty and writes 256 KiB at a time. RTMP is answered as far as a publisher needs it to send (Adobe's specification 1.0,
 * sections 5.2 and 7.2); everything behind the publish lands in FOLDER/N as it came. One line on standard output: the port. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_N = 1100, READ = 64 * 1024, BUFFER = 256 * 1024, ROUND_MS = 50, HELLO = 1536 };
enum step { GREETING, ECHO, CONNECT, CREATE, PUBLISH, MEDIA };

struct peer { int fd, file; enum step step; size_t have; uint8_t *data; };

static struct peer peers[MAX_N];
static int peers_len, buffering;
static const char *folder;

static void die(const char *what) {
    fprintf(stderr, "sink: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static void all(int fd, const uint8_t *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EAGAIN) { usleep(1000); continue; }
        if (n <= 0) die("write");
        data += n;
        len -= n;
    }
}

/* A command as one chunk: its name, its number, and what follows. */
static void answer(int fd, int stream, const char *name, int number, const char *rest, size_t rest_len) {
    uint8_t body[512], out[600], *p = body;
    *p++ = 2;
    *p++ = 0;
    *p++ = strlen(name);
    p = mempcpy(p, name, strlen(name));
    /* 1, 2 and 3 as doubles. */
    static const uint8_t numbers[4][2] = {{0, 0}, {0x3f, 0xf0}, {0x40, 0}, {0x40, 8}};
    *p++ = 0;
    *p++ = numbers[number][0];
    *p++ = numbers[number][1];
    memset(p, 0, 6);
    p += 6;
    p = mempcpy(p, rest, rest_len);
    size_t len = p - body;
    uint8_t head[12] = {3, 0, 0, 0, 0, len >> 8, len, 20, stream};
    size_t at = 12 + (len < 128 ? len : 128);
    memcpy(out, head, 12);
    memcpy(out + 12, body, at - 12);
    if (len > 128) {
        out[at++] = 0xC3;
        memcpy(out + at, body + 128, len - 128);
        at += len - 128;
    }
    all(fd, out, at);
}

/* Goes one step on if what came is enough for it; what belongs to it is taken away. */
static int greet(struct peer *peer) {
    static const char ok[] = "\5\3\0\4code\2\0\x1dNetConnection.Connect.Success\0\0\x09";
    static const char stream[] = "\5\0\x3f\xf0\0\0\0\0\0\0";
    static const char start[] = "\5\3\0\5level\2\0\6status\0\4code\2\0\x17NetStream.Publish.Start\0\0\x09";
    static const char *const words[] = {[CONNECT] = "connect", [CREATE] = "createStream", [PUBLISH] = "publish"};
    size_t taken = peer->have;
    if (peer->step == GREETING) {
        if (peer->have < 1 + HELLO) return 0;
        uint8_t out[1 + 2 * HELLO] = {3};
        memcpy(out + 1 + HELLO, peer->data + 1, HELLO);
        all(peer->fd, out, sizeof out);
        taken = 1 + HELLO;
    } else if (peer->step == ECHO) {
        if (peer->have < HELLO) return 0;
        taken = HELLO;
    } else {
        if (!memmem(peer->data, peer->have, words[peer->step], strlen(words[peer->step]))) return 0;
        if (peer->step == CONNECT) answer(peer->fd, 0, "_result", 1, ok, sizeof ok - 1);
        if (peer->step == CREATE) answer(peer->fd, 0, "_result", 2, stream, sizeof stream - 1);
        if (peer->step == PUBLISH) answer(peer->fd, 1, "onStatus", 0, start, sizeof start - 1);
    }
    peer->have -= taken;
    memmove(peer->data, peer->data + taken, peer->have);
    peer->step++;
    return 1;
}

static void leave(struct peer *peer) {
    if (peer->have) all(peer->file, peer->data, peer->have);
    close(peer->file);
    close(peer->fd);
    free(peer->data);
    peer->data = NULL;
    peer->fd = -1;
}

/* Reads once; 0 when there is nothing more for now. */
static int once(struct peer *peer) {
    size_t room = buffering && peer->step == MEDIA ? BUFFER - peer->have : READ - (peer->step == MEDIA ? 0 : peer->have);
    ssize_t n = recv(peer->fd, peer->data + peer->have, room, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) { leave(peer); return 0; }
    peer->have += n;
    if (peer->step != MEDIA) {
        while (peer->step != MEDIA && greet(peer)) {}
        return 1;
    }
    if (!buffering || peer->have == BUFFER) {
        all(peer->file, peer->data, peer->have);
        peer->have = 0;
    }
    return 1;
}

static void enter(int listener, int queue) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    if (peers_len == MAX_N) die("too many publishers");
    char path[4096];
    snprintf(path, sizeof path, "%s/%d", folder, peers_len);
    struct peer *peer = &peers[peers_len++];
    *peer = (struct peer){.fd = fd, .file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644), .data = malloc(buffering ? BUFFER : READ)};
    if (peer->file < 0 || !peer->data) die(path);
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = peer};
    if (!buffering && epoll_ctl(queue, EPOLL_CTL_ADD, fd, &want)) die("epoll_ctl");
}

int main(int argc, char **argv) {
    if (argc != 3 || (strcmp(argv[1], "through") && strcmp(argv[1], "buffer"))) die("sink through|buffer FOLDER");
    buffering = argv[1][0] == 'b';
    folder = argv[2];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), queue = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&at, &len)) die("listen");
    struct epoll_event want = {.events = EPOLLIN}, ready[64];
    if (!buffering && epoll_ctl(queue, EPOLL_CTL_ADD, listener, &want)) die("epoll_ctl");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        if (buffering) {
            enter(listener, queue);
            for (int i = 0; i < peers_len; i++) while (peers[i].fd >= 0 && once(&peers[i])) {}
            /* The greeting is no recording: it is answered sooner. */
            int greeting = 0;
            for (int i = 0; i < peers_len; i++) greeting |= peers[i].fd >= 0 && peers[i].step != MEDIA;
            usleep((greeting ? 1 : ROUND_MS) * 1000);
            continue;
        }
        int n = epoll_wait(queue, ready, 64, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr) once(ready[i].data.ptr);
            else enter(listener, queue);
        }
    }
}
