/* Sends prepared HTTP/1.1 requests over keep-alive connections as fast as the answers come, from one thread.
 *
 *   fire HOST PORT CONNECTIONS FILE [DEPTH]
 *
 * FILE holds requests one after another, each with its length before it (4 bytes, big endian). Every request is sent once. DEPTH is how many
 * requests a connection may have open: 1 (the default) is what clients do, more is pipelining. One line of JSON: seconds, answers, those
 * that are not 2xx (with the first one's head on standard error), latencies in microseconds, and this program's own CPU seconds: where
 * they come near the seconds, this program and not the server set the pace. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_C = 256, MAX_DEPTH = 64, ROOM = 1 << 18, SILENCE_MS = 20000 };

/* `begin` to `have` is what came and is not yet taken; `sent` is a ring of the times of the open requests. */
struct peer { int fd; unsigned open, oldest; size_t begin, have; double sent[MAX_DEPTH]; char data[ROOM + 1]; };

static struct peer *peers;
static char *data;
/* Where each request begins; one more for the end of the last. */
static size_t *at, asked, total, done, bad;
static double *took;
static unsigned depth = 1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "fire: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Length of the answer at `begin`, 0 while it is not whole. */
static size_t whole(struct peer *peer) {
    char *start = peer->data + peer->begin;
    size_t have = peer->have - peer->begin;
    char *end = memmem(start, have, "\r\n\r\n", 4);
    if (!end) return 0;
    char *length = NULL;
    for (char *line = start; line < end && !length; line++) {
        line = memchr(line, '\n', end - line);
        if (!line) break;
        if ((line[1] | 32) == 'c' && !strncasecmp(line + 1, "content-length:", 15)) length = line + 16;
    }
    if (!length) die("an answer has no Content-Length");
    size_t size = end + 4 - start + strtoul(length, NULL, 10);
    if (size > ROOM) die("an answer is too long");
    return size <= have ? size : 0;
}

/* Sends as many as may be open, in one piece: they lie behind each other. */
static void ask(struct peer *peer, double time) {
    size_t first = asked;
    while (asked < total && peer->open < depth) {
        peer->sent[(peer->oldest + peer->open++) % MAX_DEPTH] = time;
        asked++;
    }
    size_t size = at[asked] - at[first];
    if (size && send(peer->fd, data + at[first], size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

static void hear(struct peer *peer) {
    ssize_t got = recv(peer->fd, peer->data + peer->have, ROOM - peer->have, 0);
    if (got <= 0) die("the server closed a connection");
    peer->have += got;
    peer->data[peer->have] = 0;
    double time = now();
    for (size_t size; peer->begin < peer->have && (size = whole(peer)); peer->begin += size) {
        if (!peer->open) die("an answer that nobody asked for");
        took[done++] = (time - peer->sent[peer->oldest % MAX_DEPTH]) * 1e6;
        peer->oldest++;
        peer->open--;
        if (peer->data[peer->begin + 9] != '2' && !bad++) fprintf(stderr, "%.600s\n", peer->data + peer->begin);
    }
    if (peer->begin) memmove(peer->data, peer->data + peer->begin, peer->have -= peer->begin);
    peer->begin = 0;
    ask(peer, time);
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    size_t len = ftell(file), put = 0;
    rewind(file);
    data = malloc(len);
    at = malloc((len / 4 + 2) * sizeof *at);
    if (!data || !at || fread(data, 1, len, file) != len) die("cannot read the requests");
    fclose(file);
    for (size_t from = 0; from + 4 <= len;) {
        uint8_t *p = (uint8_t *)data + from;
        size_t size = (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
        if (from + 4 + size > len) die("the file ends inside a request");
        at[total++] = put;
        memmove(data + put, data + from + 4, size);
        put += size;
        from += 4 + size;
    }
    at[total] = put;
    took = malloc((total + 1) * sizeof *took);
    if (!took || !total) die("there are no requests");
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) die("fire HOST PORT CONNECTIONS FILE [DEPTH]");
    int n = atoi(argv[3]), queue = epoll_create1(0);
    if (argc == 6) depth = atoi(argv[5]);
    if (n < 1 || n > MAX_C || depth < 1 || depth > MAX_DEPTH) die("CONNECTIONS is 1 to 256, DEPTH 1 to 64");
    load(argv[4]);
    peers = calloc(n, sizeof *peers);
    if (!peers) die("no memory");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    for (int i = 0; i < n; i++) {
        int one = 1, fd = peers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event want = {.events = EPOLLIN, .data.ptr = &peers[i]};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
        if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &want)) die("epoll_ctl");
    }
    struct rusage own, before;
    getrusage(RUSAGE_SELF, &before);
    double begin = now();
    for (int i = 0; i < n; i++) ask(&peers[i], now());
    while (done < total) {
        struct epoll_event ready[MAX_C];
        int count = epoll_wait(queue, ready, MAX_C, SILENCE_MS);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) die("the server is silent");
        for (int i = 0; i < count; i++) hear(ready[i].data.ptr);
    }
    double seconds = now() - begin;
    getrusage(RUSAGE_SELF, &own);
    double cpu = own.ru_utime.tv_sec - before.ru_utime.tv_sec + own.ru_stime.tv_sec - before.ru_stime.tv_sec
        + (own.ru_utime.tv_usec - before.ru_utime.tv_usec + own.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    qsort(took, done, sizeof *took, by_size);
    printf("{\"seconds\":%.4f,\"answers\":%zu,\"failed\":%zu,\"p50_us\":%.0f,\"p99_us\":%.0f,\"cpu_s\":%.3f}\n", seconds, done, bad, took[done / 2], took[done * 99 / 100], cpu);
    return 0;
}
