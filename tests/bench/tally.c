/* Counts pictures and sound frames of media files by their containers alone, at the speed of the disk.
 *
 *   tally FILE...
 *
 * FLV: tags that are no sequence header. MPEG-TS: packets that begin a PES packet (our muxer and nginx-rtmp write one a frame).
 * MP4: samples of the `stsz` and `trun` boxes. One line a file, in order: pictures, sound frames. A broken file ends it with status 1.
 * FLV: Adobe's 10.1, annex E. MPEG-TS: ISO/IEC 13818-1, 2.4.3. MP4: ISO/IEC 14496-12, 8.7.3 and 8.8.8. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct sum { size_t video, audio; };

static const char *name;

static void die(const char *what) {
    fprintf(stderr, "tally: %s: %s\n", name, what);
    exit(1);
}

static size_t be(const uint8_t *p, int n) {
    size_t value = 0;
    while (n--) value = value << 8 | *p++;
    return value;
}

static struct sum flv(const uint8_t *data, size_t len) {
    struct sum sum = {0, 0};
    for (size_t at = 13; at < len;) {
        if (at + 11 > len) die("ends inside a tag");
        size_t size = be(data + at + 1, 3);
        const uint8_t *body = data + at + 11;
        if (at + 11 + size > len) die("ends inside a tag");
        /* Codec 7 and 12: packet type 1 holds a picture. With an extended header (top bit): 1 and 3. AAC: 1. */
        if (data[at] == 9 && size > 1) {
            int kind = body[0] & 15, plain = kind != 7 && kind != 12;
            sum.video += body[0] & 0x80 ? kind == 1 || kind == 3 : plain || body[1] == 1;
        }
        if (data[at] == 8 && size > 1) sum.audio += body[0] >> 4 != 10 || body[1] == 1;
        at += size + 15;
    }
    return sum;
}

static struct sum ts(const uint8_t *data, size_t len) {
    struct sum sum = {0, 0};
    if (len % 188) die("ends inside a packet");
    for (size_t at = 0; at < len; at += 188) {
        const uint8_t *p = data + at;
        if (p[0] != 0x47) die("a packet without its first byte");
        if (!(p[1] & 0x40) || !(p[3] & 0x10)) continue;
        size_t skip = 4 + (p[3] & 0x20 ? 1 + p[4] : 0);
        if (skip + 4 > 188 || p[skip] || p[skip + 1] || p[skip + 2] != 1) continue;
        sum.video += p[skip + 3] >> 4 == 0xE;
        sum.audio += p[skip + 3] >> 5 == 0x6;
    }
    return sum;
}

/* Track numbers by kind, in files without handlers seen so far: our and MediaMTX's first track is the picture unless `hdlr` says so. */
static struct { int sound[16], now; } tracks;

static void boxes(const uint8_t *data, size_t len, struct sum *sum) {
    static const char inside[][5] = {"moov", "trak", "mdia", "minf", "stbl", "moof", "traf"};
    for (size_t at = 0; at < len;) {
        if (at + 8 > len) die("ends inside a box");
        size_t size = be(data + at, 4), head = 8;
        const uint8_t *kind = data + at + 4, *body;
        if (size == 1 && at + 16 <= len) { size = be(data + at + 8, 8); head = 16; }
        if (size == 0) size = len - at;
        if (size < head || at + size > len) die("ends inside a box");
        body = data + at + head;
        for (size_t i = 0; i < sizeof inside / 5; i++) if (!memcmp(kind, inside[i], 4)) boxes(body, size - head, sum);
        if (!memcmp(kind, "tkhd", 4)) tracks.now = be(body + (body[0] ? 20 : 12), 4) & 15;
        if (!memcmp(kind, "tfhd", 4)) tracks.now = be(body + 4, 4) & 15;
        if (!memcmp(kind, "hdlr", 4)) tracks.sound[tracks.now] = !memcmp(body + 8, "soun", 4);
        size_t samples = !memcmp(kind, "stsz", 4) ? be(body + 8, 4) : !memcmp(kind, "trun", 4) ? be(body + 4, 4) : 0;
        if (tracks.sound[tracks.now]) sum->audio += samples; else sum->video += samples;
        at += size;
    }
}

int main(int argc, char **argv) {
    /* Fragments apart from their header: track 2 is the sound. */
    tracks.sound[2] = 1;
    for (int i = 1; i < argc; i++) {
        name = argv[i];
        int fd = open(name, O_RDONLY);
        struct stat is;
        if (fd < 0 || fstat(fd, &is)) die(strerror(errno));
        struct sum sum = {0, 0};
        if (is.st_size) {
            const uint8_t *data = mmap(NULL, is.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (data == MAP_FAILED) die(strerror(errno));
            size_t len = is.st_size;
            if (len >= 13 && !memcmp(data, "FLV", 3)) sum = flv(data, len);
            else if (data[0] == 0x47) sum = ts(data, len);
            else boxes(data, len, &sum);
            munmap((void *)data, len);
        }
        close(fd);
        printf("%zu %zu\n", sum.video, sum.audio);
    }
    return 0;
}
