/* Moves the machine's clock of one process by SKEW_SECONDS: preloaded, so that it needs no clock of a machine's own. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long skew(void) {
    static long seconds;
    static int read;
    if (!read) {
        const char *told = getenv("SKEW_SECONDS");
        seconds = told ? atol(told) : 0;
        read = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t id, struct timespec *shown) {
    int failed = (int)syscall(SYS_clock_gettime, id, shown);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) shown->tv_sec += skew();
    return failed;
}

time_t time(time_t *also) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (also) *also = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *shown, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    shown->tv_sec = now.tv_sec;
    shown->tv_usec = now.tv_nsec / 1000;
    return 0;
}
