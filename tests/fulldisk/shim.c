/*
 * Lets a process find its disk full, for tests.
 *
 * Loaded with LD_PRELOAD. While the file FULLDISK_MARK exists, it holds a number of bytes, and no file below the folder
 * FULLDISK_ROOT may become longer than that: of a write beyond it, what fits is written, and a write of which nothing
 * fits fails with ENOSPC. With FULLDISK_SUFFIX only files whose names end so are meant.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *mark, *suffix;

__attribute__((constructor)) static void start(void) {
    root = getenv("FULLDISK_ROOT");
    mark = getenv("FULLDISK_MARK");
    suffix = getenv("FULLDISK_SUFFIX");
}

/* How long a file may be at the moment; -1 for any length. */
static long long bytes_max(void) {
    if (mark == NULL)
        return -1;
    int fd = open(mark, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    char text[32] = {0};
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 ? atoll(text) : 0;
}

static int is_meant(int fd) {
    struct stat about;
    if (root == NULL || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t prefix = strlen(root), end = suffix == NULL ? 0 : strlen(suffix);
    if ((size_t)length < end || (end > 0 && strcmp(path + length - end, suffix) != 0))
        return 0;
    return strncmp(path, root, prefix) == 0 && path[prefix] == '/';
}

/* Of `count` bytes at `offset` (-1: where the file stands), how many fit; -1 with ENOSPC when none does. */
static ssize_t fitting(int fd, size_t count, off_t offset) {
    int before = errno;
    long long max = bytes_max();
    if (max >= 0 && count > 0 && is_meant(fd)) {
        if (offset < 0)
            offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
        if (offset >= max) {
            errno = ENOSPC;
            return -1;
        }
        if ((long long)count > max - offset)
            count = (size_t)(max - offset);
    }
    errno = before;
    return (ssize_t)count;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t fits = fitting(fd, count, -1);
    return fits < 0 ? -1 : REAL(write)(fd, bytes, (size_t)fits);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    ssize_t fits = fitting(fd, count, offset);
    return fits < 0 ? -1 : REAL(pwrite)(fd, bytes, (size_t)fits, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    ssize_t fits = fitting(fd, count, offset);
    return fits < 0 ? -1 : REAL(pwrite64)(fd, bytes, (size_t)fits, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    /* The first part at a time: writing less than all is allowed. */
    for (int part = 0; part < count && bytes_max() >= 0 && is_meant(fd); part++) {
        if (parts[part].iov_len > 0)
            return write(fd, parts[part].iov_base, parts[part].iov_len);
    }
    return REAL(writev)(fd, parts, count);
}

/* Room for later, beyond the end or not. */
static int refuses_room(int fd, off_t end) {
    long long max = bytes_max();
    return max >= 0 && end > max && is_meant(fd);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    if (refuses_room(fd, offset + length)) {
        errno = ENOSPC;
        return -1;
    }
    return REAL(fallocate)(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    if (refuses_room(fd, offset + length)) {
        errno = ENOSPC;
        return -1;
    }
    return REAL(fallocate64)(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    return refuses_room(fd, offset + length) ? ENOSPC : REAL(posix_fallocate)(fd, offset, length);
}
