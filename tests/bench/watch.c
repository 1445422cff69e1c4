/* N viewers of live streams, from one thread and at little cost: they read, count and throw away.
 *
 *   watch flv  HOST PORT PATH    N SECONDS     GET PATH, "%d" in it being the number of the stream
 *   watch rtmp HOST PORT APP/NAME N SECONDS [STREAMS]
 *
 * Viewer i watches stream i modulo STREAMS (1). All are there before the count begins. One line of JSON at the end: viewers that the server
 * cut off, bytes of all viewers and of the one that got least and most while it was counted, and this program's CPU time.
 * RTMP: Adobe's specification 1.0, sections 5.2 (handshake), 5.3 (chunks) and 7.2 (commands). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MAX_N = 10000, CHUNK = 128, STREAM = 1 };
struct viewer { int fd; uint64_t bytes; };
static struct viewer viewers[MAX_N];

static void die(const char *form, ...) {
    va_list list;
    va_start(list, form);
    fprintf(stderr, "watch: ");
    vfprintf(stderr, form, list);
    fprintf(stderr, "\n");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int open_to(const char *host, int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct timeval limit = {20, 0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    return fd;
}

static void all(int fd, const void *data, size_t len) {
    for (const uint8_t *p = data; len;) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0) die("send: %s", strerror(errno));
        p += n;
        len -= n;
    }
}

/* Reads until `word` was seen. */
static void expect(int fd, const char *word) {
    uint8_t seen[65536];
    size_t have = 0;
    while (!memmem(seen, have, word, strlen(word))) {
        if (have == sizeof seen) have = 0;
        ssize_t n = recv(fd, seen + have, sizeof seen - have, 0);
        if (n <= 0) die("no %s: the server closed or was silent", word);
        have += n;
    }
}

static uint8_t *text(uint8_t *p, const char *value, int marker) {
    size_t len = strlen(value);
    if (marker) *p++ = 2;
    *p++ = len >> 8;
    *p++ = len;
    memcpy(p, value, len);
    return p + len;
}

static uint8_t *number(uint8_t *p, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    *p++ = 0;
    for (int shift = 56; shift >= 0; shift -= 8) *p++ = bits >> shift;
    return p;
}

static void command(int fd, uint32_t stream, const uint8_t *body, size_t len) {
    uint8_t out[2048], *p = out;
    uint8_t head[12] = {3, 0, 0, 0, len >> 16, len >> 8, len, 20, stream, 0, 0, 0};
    memcpy(p, head, 12);
    p += 12;
    for (size_t at = 0; at < len;) {
        size_t part = len - at < CHUNK ? len - at : CHUNK;
        memcpy(p, body + at, part);
        p += part;
        at += part;
        if (at < len) *p++ = 0xC3;
    }
    all(fd, out, p - out);
}

static int rtmp(const char *host, int port, const char *app, const char *name) {
    int fd = open_to(host, port);
    uint8_t hello[1537] = {3}, answer[1 + 2 * 1536], body[1024], *p;
    char url[1024];
    all(fd, hello, sizeof hello);
    for (size_t have = 0; have < sizeof answer;) {
        ssize_t n = recv(fd, answer + have, sizeof answer - have, 0);
        if (n <= 0) die("handshake: closed");
        have += n;
    }
    all(fd, answer + 1, 1536);
    snprintf(url, sizeof url, "rtmp://%s:%d/%s", host, port, app);
    p = text(number(text(body, "connect", 1), 1) + 1, "app", 0);
    p[-6] = 3;
    p = text(text(text(p, app, 1), "tcUrl", 0), url, 1);
    memcpy(p, "\0\0\x09", 3);
    command(fd, 0, body, p + 3 - body);
    expect(fd, "_result");
    p = number(text(body, "createStream", 1), 2);
    *p++ = 5;
    command(fd, 0, body, p - body);
    expect(fd, "_result");
    p = number(text(body, "play", 1), 3);
    *p++ = 5;
    p = text(p, name, 1);
    command(fd, STREAM, body, p - body);
    expect(fd, "NetStream.Play.Start");
    return fd;
}

static int flv(const char *host, int port, const char *path) {
    int fd = open_to(host, port);
    char request[1024];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", path, host, port);
    all(fd, request, len);
    expect(fd, "FLV\x01");
    return fd;
}

static uint8_t scrap[1 << 18];
static int cut;

/* Reads what has come for the viewers that are there. */
static void drain(int polled, int wait_ms) {
    struct epoll_event events[512];
    int ready = epoll_wait(polled, events, 512, wait_ms);
    for (int e = 0; e < ready; e++) {
        struct viewer *viewer = &viewers[events[e].data.u32];
        ssize_t got = recv(viewer->fd, scrap, sizeof scrap, 0);
        if (got > 0) {
            viewer->bytes += got;
        } else if (got == 0 || errno != EAGAIN) {
            cut++;
            epoll_ctl(polled, EPOLL_CTL_DEL, viewer->fd, NULL);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 7) die("watch flv|rtmp HOST PORT PATH N SECONDS [STREAMS]");
    int port = atoi(argv[3]), n = atoi(argv[5]), streams = argc > 7 ? atoi(argv[7]) : 1;
    double seconds = atof(argv[6]);
    if (n < 1 || n > MAX_N || streams < 1) die("N is 1 to %d", MAX_N);
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int polled = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        char name[512];
        snprintf(name, sizeof name, argv[4], i % streams);
        if (!strcmp(argv[1], "rtmp")) {
            char *slash = strchr(name, '/');
            if (!slash) die("APP/NAME");
            *slash = 0;
            viewers[i].fd = rtmp(argv[2], port, name, slash + 1);
        } else {
            viewers[i].fd = flv(argv[2], port, name);
        }
        fcntl(viewers[i].fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(polled, EPOLL_CTL_ADD, viewers[i].fd, &event);
        drain(polled, 0);
    }
    /* The first rush of kept pictures is no part of the count: it begins two seconds after the last has come. */
    double start = now() + 2, end = start + seconds;
    int counting = 0;
    for (double time = now(); time < end; time = now()) {
        drain(polled, 100);
        if (!counting && time >= start) {
            counting = 1;
            for (int i = 0; i < n; i++) viewers[i].bytes = 0;
            printf("counting\n");
            fflush(stdout);
        }
    }
    uint64_t sum = 0, least = UINT64_MAX, most = 0;
    for (int i = 0; i < n; i++) {
        sum += viewers[i].bytes;
        if (viewers[i].bytes < least) least = viewers[i].bytes;
        if (viewers[i].bytes > most) most = viewers[i].bytes;
    }
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"cut\":%d,\"bytes\":%llu,\"least\":%llu,\"most\":%llu,\"cpu_s\":%.2f}\n", cut, (unsigned long long)sum, (unsigned long long)least,
           (unsigned long long)most, cpu);
    return 0;
}
