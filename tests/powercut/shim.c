/*
 * Writes down what a process has made durable, for tests that cut its power.
 *
 * Loaded with LD_PRELOAD. After each fsync or fdatasync that succeeded, one line is added to the file named by
 * POWERCUT_LOG:
 *
 *     F <began> <identity> <bytes>            a file: its size when the call began
 *     D <began> <identity> <name>/<name>/...  a directory: its entries when the call began
 *
 * `began` orders the calls, as two that overlap may end, and be written down, in either order.
 * The identity is inode and birth time, as a name may change (rename) and an inode may be used again.
 * What was written after the call began may or may not be durable, so size and entries are taken before it.
 * sync_file_range is left alone on purpose: it promises nothing about durability.
 *
 * A line is written before the call returns: whatever the process then tells others to be durable is in the log.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;

/* Held while size or entries are taken together with the time: a later time has then seen no less. */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

/* A test that believes it watches and does not would pass for the wrong reason: better no process at all. */
static void give_up(const char *what) {
    const char *why = strerror(errno);
    if (write(2, "powercut shim: ", 15) < 0 || write(2, what, strlen(what)) < 0 || write(2, ": ", 2) < 0 ||
        write(2, why, strlen(why)) < 0 || write(2, "\n", 1) < 0) {
        /* Nobody to tell. */
    }
    abort();
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("POWERCUT_LOG");
    if (path == NULL)
        return;
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        give_up("cannot open POWERCUT_LOG");
}

struct line {
    char *bytes;
    size_t length, capacity;
};

static void add(struct line *line, const char *bytes, size_t length) {
    if (line->length + length > line->capacity) {
        line->capacity = (line->length + length) * 2;
        line->bytes = realloc(line->bytes, line->capacity);
        if (line->bytes == NULL)
            give_up("out of memory");
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

/* A name with what would end a line, and the escape itself, escaped. It cannot hold a slash. */
static void add_name(struct line *line, const char *name) {
    static const char hex[] = "0123456789abcdef";
    for (; *name != 0; name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte == '%' || byte == '\n') {
            char escaped[3] = {'%', hex[byte >> 4], hex[byte & 15]};
            add(line, escaped, sizeof escaped);
        } else {
            add(line, name, 1);
        }
    }
    add(line, "/", 1);
}

static void add_entries(struct line *line, int fd) {
    /* A file description of its own, as reading moves the position of the one that it reads from. */
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (directory == NULL)
        give_up("cannot list a directory that is being synced");
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_name(line, entry->d_name);
    }
    closedir(directory);
}

/* The line for what `fd` is now; empty when it is neither a file nor a directory. */
static struct line describe(int fd) {
    struct line line = {NULL, 0, 0};
    struct statx about;
    if (log_fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &about) != 0)
        return line;
    int directory = S_ISDIR(about.stx_mode);
    if (!directory && !S_ISREG(about.stx_mode))
        return line;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char head[128];
    int length = snprintf(head, sizeof head, "%c %lld%09ld %llu-%lld.%09u ", directory ? 'D' : 'F',
                          (long long)now.tv_sec, now.tv_nsec, (unsigned long long)about.stx_ino,
                          (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
    add(&line, head, (size_t)length);
    if (directory) {
        add_entries(&line, fd);
    } else {
        length = snprintf(head, sizeof head, "%llu", (unsigned long long)about.stx_size);
        add(&line, head, (size_t)length);
    }
    add(&line, "\n", 1);
    return line;
}

typedef int (*sync_call)(int);

static int watch(const char *name, int fd) {
    int before = errno;
    pthread_mutex_lock(&looking);
    struct line line = describe(fd);
    pthread_mutex_unlock(&looking);
    errno = before;
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    int result = real(fd);
    int after = errno;
    /* One write for one line: O_APPEND then keeps the lines of several threads apart. */
    if (result == 0 && line.length > 0 && write(log_fd, line.bytes, line.length) != (ssize_t)line.length)
        give_up("cannot write POWERCUT_LOG");
    free(line.bytes);
    errno = after;
    return result;
}

int fsync(int fd) { return watch("fsync", fd); }

int fdatasync(int fd) { return watch("fdatasync", fd); }
