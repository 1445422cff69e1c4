/* Sends prepared HTTP/1.1 requests over keep-alive connections as fast as the answers come, from one thread.
 *
 *   fire HOST PORT CONNECTIONS FILE
 *
 * FILE holds requests one after another, each with its length before it (4 bytes, big endian). Every request is sent once. One line
 * of JSON: seconds, answers, those that are not 2xx (with the first one's head on standard error), and latencies in microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_C = 256, ROOM = 1 << 18, SILENCE_MS = 20000 };

struct peer { size_t have; double sent; char data[ROOM + 1]; };

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

/* Length of a whole answer at the start of the buffer, 0 while it is not whole. */
static size_t whole(struct peer *peer) {
    peer->data[peer->have] = 0;
    char *end = strstr(peer->data, "\r\n\r\n");
    if (!end) return 0;
    *end = 0;
    char *length = strcasestr(peer->data, "\r\ncontent-length:");
    *end = '\r';
    if (!length) die("an answer has no Content-Length");
    size_t size = end + 4 - peer->data + strtoul(length + 17, NULL, 10);
    if (size > ROOM) die("an answer is too long");
    return size <= peer->have ? size : 0;
}

int main(int argc, char **argv) {
    if (argc != 5) die("fire HOST PORT CONNECTIONS FILE");
    int n = atoi(argv[3]);
    if (n < 1 || n > MAX_C) die("CONNECTIONS is 1 to 256");
    FILE *file = fopen(argv[4], "rb");
    if (!file) die(argv[4]);
    fseek(file, 0, SEEK_END);
    size_t len = ftell(file), at = 0, asked = 0, done = 0, bad = 0;
    rewind(file);
    uint8_t *data = malloc(len);
    double *took = malloc((len / 4 + 1) * sizeof *took);
    struct peer *peers = calloc(n, sizeof *peers);
    struct pollfd fds[MAX_C];
    if (!data || !took || !peers || fread(data, 1, len, file) != len) die("cannot read the requests");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    for (int i = 0; i < n; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
        fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    double begin = now();
    for (int first = 1;; first = 0) {
        if (!first) {
            if (done == asked && at >= len) break;
            if (poll(fds, n, SILENCE_MS) <= 0) die("the server is silent");
        }
        for (int i = 0; i < n; i++) {
            struct peer *peer = &peers[i];
            if (!first) {
                if (!fds[i].revents) continue;
                ssize_t got = recv(fds[i].fd, peer->data + peer->have, ROOM - peer->have, 0);
                if (got <= 0) die("the server closed a connection");
                peer->have += got;
                size_t size = whole(peer);
                if (!size) continue;
                took[done++] = (now() - peer->sent) * 1e6;
                if (peer->data[9] != '2' && !bad++) fprintf(stderr, "%.600s\n", peer->data);
                peer->have = 0;
            }
            if (at + 4 > len) { fds[i].fd = fds[i].fd < 0 ? fds[i].fd : -fds[i].fd - 1; continue; }
            size_t size = (size_t)data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
            peer->sent = now();
            if (send(fds[i].fd, data + at + 4, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
            at += 4 + size;
            asked++;
        }
    }
    double seconds = now() - begin;
    qsort(took, done, sizeof *took, by_size);
    printf("{\"seconds\":%.4f,\"answers\":%zu,\"failed\":%zu,\"p50_us\":%.0f,\"p99_us\":%.0f}\n", seconds, done, bad, took[done / 2], took[done * 99 / 100]);
    return 0;
}
