/* Replays the tags of an FLV file over RTMP as N publishers, from one thread and at little cost: the chunks of the whole file are
 * made once and shared, so that sending is one write per publisher and tick. Behind its end the file begins again, with
 * timestamps that run on.
 *
 *   push HOST PORT APP NAME QUERY N SECONDS FILE.flv [SPEED [CHUNK]]
 *
 * Publisher i has the stream name NAMEi followed by QUERY ("?vhost=..." or ""). Publishers start spread over two seconds, so
 * that key frames do not come all at once. SPEED 1 is real time, 30 half an hour in a minute, 0 as fast as the server reads.
 * CHUNK is the payload of an RTMP chunk: 128 bytes until a publisher says otherwise, 4096 (the default here) in OBS and many others.
 * One line of JSON at the end: frames sent a publisher, bytes of media, how late the socket took the latest frame and how many frames it took
 * over a second late, how long this program itself once slept through (that is no fault of the server), and its CPU time.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_CHUNK = 128, MAX_CHUNK = 65535, MAX_N = 1000, MAX_ROUNDS = 100000, TICK_MS = 10, SPREAD_MS = 2000, STREAM = 1, LATE_MS = 1000 };
/* A timestamp has 24 bits without an extension. */
enum { MAX_MS = 0xFFFFFE };

/* A message of the clip: where its chunks begin and end and when it is due. */
struct mark { size_t begin, end, media; uint32_t ms; int kind; };
struct peer { int fd; size_t at; size_t next; uint32_t round; double start; };

/* The clip's chunks in each of its rounds, while some publisher needs them; the first is `wire`. */
static uint8_t *wire, *rounds[MAX_ROUNDS];
static size_t wire_len, wire_cap, marks_len, marks_cap, left_round[MAX_ROUNDS];
/* Where the frames begin behind the sequence headers, which are sent once. */
static size_t first_frame;
static uint32_t period_ms, end_ms;
static double speed = 1;
static int n;
static size_t chunk_size = 4096;
static struct mark *marks;
static struct peer peers[MAX_N];
static size_t stalls, late_frames;

static void die(const char *form, ...) {
    va_list list;
    va_start(list, form);
    fprintf(stderr, "push: ");
    vfprintf(stderr, form, list);
    fprintf(stderr, "\n");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* One message as chunks: a header of type 0 and then type 3. */
static size_t chunk(uint8_t *out, int channel, int kind, uint32_t stream, uint32_t ms, const uint8_t *body, size_t len, size_t size) {
    uint8_t *p = out;
    uint8_t head[12] = {channel, ms >> 16, ms >> 8, ms, len >> 16, len >> 8, len, kind, stream, stream >> 8, stream >> 16, stream >> 24};
    memcpy(p, head, 12);
    p += 12;
    for (size_t at = 0; at < len;) {
        size_t part = len - at < size ? len - at : size;
        memcpy(p, body + at, part);
        p += part;
        at += part;
        if (at < len) *p++ = 0xC0 | channel;
    }
    return p - out;
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die("%s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    size_t len = ftell(file);
    rewind(file);
    uint8_t *data = malloc(len);
    if (!data || fread(data, 1, len, file) != len) die("cannot read %s", path);
    fclose(file);
    for (size_t at = 13; at + 11 <= len;) {
        size_t size = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
        uint32_t ms = (uint32_t)data[at + 7] << 24 | data[at + 4] << 16 | data[at + 5] << 8 | data[at + 6];
        int kind = data[at];
        if (at + 11 + size > len) break;
        if (kind == 8 || kind == 9) {
            size_t most = size + 12 + size / chunk_size + 1;
            if (wire_len + most > wire_cap) wire = realloc(wire, wire_cap = (wire_len + most) * 2);
            if (marks_len == marks_cap) marks = realloc(marks, (marks_cap = marks_cap * 2 + 64) * sizeof *marks);
            if (!wire || !marks) die("no memory");
            const uint8_t *body = data + at + 11;
            size_t begin = wire_len;
            wire_len += chunk(wire + wire_len, kind == 8 ? 5 : 6, kind, STREAM, ms, body, size, chunk_size);
            /* Sequence headers are no frames. */
            int header = kind == 9 ? (body[0] & 15) == 7 && body[1] != 1 : body[0] >> 4 == 10 && body[1] == 0;
            marks[marks_len++] = (struct mark){begin, wire_len, size, ms, header ? 0 : kind};
        }
        at += size + 15;
    }
    free(data);
    if (!marks_len) die("%s holds no media", path);
    while (first_frame < marks_len && !marks[first_frame].kind) first_frame++;
    /* The file lasts until the picture after its last one would come. */
    uint32_t pictures = 0, last_ms = 0, any_ms = marks[marks_len - 1].ms;
    for (size_t i = first_frame; i < marks_len; i++) if (marks[i].kind == 9) { pictures++; last_ms = marks[i].ms; }
    period_ms = pictures > 1 ? last_ms + (last_ms + (pictures - 1) / 2) / (pictures - 1) : any_ms + 23;
    if (period_ms <= any_ms) period_ms = any_ms + 1;
}

/* The chunks of one round, with its timestamps. */
static uint8_t *chunks(uint32_t round) {
    if (round == 0) return wire;
    if (round >= MAX_ROUNDS) die("too many rounds");
    if (rounds[round]) return rounds[round];
    uint8_t *data = rounds[round] = malloc(wire_len);
    if (!data) die("no memory");
    memcpy(data, wire, wire_len);
    for (size_t i = 0; i < marks_len; i++) {
        uint32_t ms = marks[i].ms + round * period_ms;
        uint8_t *p = data + marks[i].begin + 1;
        p[0] = ms >> 16;
        p[1] = ms >> 8;
        p[2] = ms;
    }
    return data;
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

static void all(int fd, const void *data, size_t len) {
    for (const uint8_t *p = data; len;) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0) die("send: %s", strerror(errno));
        p += n;
        len -= n;
    }
}

static void command(int fd, uint32_t stream, const uint8_t *body, size_t len) {
    uint8_t out[2048];
    all(fd, out, chunk(out, 3, 20, stream, 0, body, len, FIRST_CHUNK));
}

/* Reads until `word` was seen: enough of a client for servers that answer in order. */
static void expect(int fd, const char *word) {
    uint8_t seen[8192];
    size_t have = 0;
    while (!memmem(seen, have, word, strlen(word))) {
        if (have == sizeof seen) have = 0;
        ssize_t n = recv(fd, seen + have, sizeof seen - have, 0);
        if (n <= 0) die("no %s: the server closed or was silent", word);
        have += n;
    }
}

static void publish(struct peer *peer, const char *host, int port, const char *app, const char *name) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct timeval limit = {20, 0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    uint8_t hello[1537] = {3}, answer[1 + 2 * 1536];
    all(fd, hello, sizeof hello);
    for (size_t have = 0; have < sizeof answer;) {
        ssize_t n = recv(fd, answer + have, sizeof answer - have, 0);
        if (n <= 0) die("handshake: closed");
        have += n;
    }
    all(fd, answer + 1, 1536);
    uint8_t size[4] = {0, 0, chunk_size >> 8, chunk_size & 255}, out[64], body[1024], *p;
    char url[256];
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
    p = number(text(body, "publish", 1), 3);
    *p++ = 5;
    p = text(text(p, name, 1), "live", 1);
    command(fd, STREAM, body, p - body);
    expect(fd, "NetStream.Publish.Start");
    all(fd, out, chunk(out, 2, 1, 0, 0, size, 4, FIRST_CHUNK));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    peer->fd = fd;
}

/* The message that `at` lies in. */
static size_t message_at(size_t at) {
    size_t low = 0, high = marks_len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (marks[middle].end <= at) low = middle + 1; else high = middle;
    }
    return low;
}

/* Sends what is due; how late the socket is, in milliseconds. Sets `busy` while there is more to come. */
static double feed(struct peer *peer, double time, int *busy) {
    uint8_t scrap[4096];
    while (recv(peer->fd, scrap, sizeof scrap, 0) > 0) {}
    for (;;) {
        double base = (double)peer->round * period_ms, media = speed > 0 ? (time - peer->start) * 1000 * speed - base : 1e12;
        while (peer->next < marks_len && marks[peer->next].ms <= media && marks[peer->next].ms + base < end_ms) peer->next++;
        size_t due = peer->next ? marks[peer->next - 1].end : 0;
        if (peer->at < due) {
            size_t before = message_at(peer->at);
            ssize_t sent = send(peer->fd, chunks(peer->round) + peer->at, due - peer->at, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) die("a publisher was cut off: %s", strerror(errno));
            if (sent > 0) peer->at += sent;
            for (size_t i = before; speed > 0 && i < marks_len && marks[i].end <= peer->at; i++) late_frames += (media - marks[i].ms) / speed > LATE_MS;
        }
        if (peer->at < due) {
            *busy = 1;
            stalls++;
            return speed > 0 ? (media - marks[message_at(peer->at)].ms) / speed : 0;
        }
        int more = peer->next < marks_len ? marks[peer->next].ms + base < end_ms : marks[first_frame].ms + base + period_ms < end_ms;
        if (!more) return 0;
        *busy = 1;
        if (peer->next < marks_len) return 0;
        if (++left_round[peer->round] == (size_t)n && peer->round) { free(rounds[peer->round]); rounds[peer->round] = NULL; }
        peer->round++;
        peer->next = first_frame;
        peer->at = marks[first_frame].begin;
    }
}

int main(int argc, char **argv) {
    if (argc < 9 || argc > 11) die("push HOST PORT APP NAME QUERY N SECONDS FILE.flv [SPEED [CHUNK]]");
    n = atoi(argv[6]);
    if (n < 1 || n > MAX_N) die("N is 1 to %d", MAX_N);
    if (argc > 9) speed = atof(argv[9]);
    if (argc > 10) chunk_size = atoi(argv[10]);
    if (chunk_size < 1 || chunk_size > MAX_CHUNK) die("CHUNK is 1 to %d", MAX_CHUNK);
    if (atof(argv[7]) * 1000 > MAX_MS || speed < 0) die("SECONDS is at most %d, SPEED not negative", MAX_MS / 1000);
    end_ms = atof(argv[7]) * 1000;
    load(argv[8]);
    for (int i = 0; i < n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s%d%s", argv[4], i, argv[5]);
        publish(&peers[i], argv[1], atoi(argv[2]), argv[3], name);
    }
    double begin = now() + 0.05, late = 0, gap = 0, before = begin;
    double limit = begin + (speed > 0 ? end_ms / 1000.0 / speed : end_ms / 1000.0) + SPREAD_MS / 1000.0 + 60;
    for (int i = 0; i < n; i++) peers[i].start = begin + i * (SPREAD_MS / 1000.0) / n;
    for (int busy = 1; busy;) {
        double time = now();
        if (time - before > gap) gap = time - before;
        before = time;
        busy = 0;
        for (int i = 0; i < n; i++) {
            double lag = feed(&peers[i], time, &busy);
            if (lag > late) late = lag;
        }
        double rest = time + (speed > 0 ? TICK_MS : 1) / 1000.0 - now();
        if (rest > 0) usleep(rest * 1e6);
        if (time > limit) die("the server did not take the media in time");
    }
    size_t count[10] = {0}, bytes = 0;
    for (uint32_t round = 0; (double)round * period_ms < end_ms; round++)
        for (size_t i = round ? first_frame : 0; i < marks_len && marks[i].ms + (double)round * period_ms < end_ms; i++) {
            count[marks[i].kind]++;
            bytes += marks[i].media;
        }
    uint8_t body[64], *p;
    for (int i = 0; i < n; i++) {
        fcntl(peers[i].fd, F_SETFL, 0);
        p = number(text(body, "deleteStream", 1), 4);
        *p++ = 5;
        command(peers[i].fd, 0, body, number(p, STREAM) - body);
        shutdown(peers[i].fd, SHUT_WR);
    }
    for (int i = 0; i < n; i++) {
        uint8_t scrap[4096];
        while (recv(peers[i].fd, scrap, sizeof scrap, 0) > 0) {}
        close(peers[i].fd);
    }
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    printf("{\"video\":%zu,\"audio\":%zu,\"bytes\":%zu,\"late_ms\":%.0f,\"late_frames\":%zu,\"stalls\":%zu,\"slept_ms\":%.0f,\"cpu_s\":%.2f,\"media_s\":%.2f}\n",
           count[9], count[8], bytes * n, late, late_frames, stalls, gap * 1000, cpu, end_ms / 1000.0 * n);
    return 0;
}
