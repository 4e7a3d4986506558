/* A library that is loaded before libc (LD_PRELOAD) and makes the n-th change below a folder go wrong.
 *
 * Counted is whatever changes a file or a folder: opening to create or truncate, write, pwrite, fsync, fdatasync,
 * ftruncate, rename, unlink, mkdir, rmdir. It is counted where it concerns a path below the folder that `faults_arm` is
 * given; until then everything goes through. What SQLite writes to its -shm file is no change: it is built anew.
 *
 * Kinds: 0 count alone; 1 kill the process instead; 2 write the first half, then kill; 3 the disk is full from here on
 * (what needs no room still works); 4 this one fails with EIO, once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { COUNT, KILL, TEAR, FULL, FAIL };

static char below[PATH_MAX];
static size_t below_length;
static int kind;
static long at;
static int log_to = -1;
static atomic_long counted;

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Arm the library: `log` is a descriptor to which each point is written as a line, or -1. */
void faults_arm(const char *folder, int what, long number, int log) {
    strncpy(below, folder, sizeof below - 1);
    below_length = strlen(below);
    kind = what;
    at = number;
    log_to = log;
    counted = 0;
}

static int is_below(const char *path) {
    size_t length = strlen(path);
    if (!below_length || strncmp(path, below, below_length) || (path[below_length] != '/' && path[below_length])) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static void absolute(int folder, const char *name, char *path) {
    char base[PATH_MAX];
    if (name[0] == '/') { snprintf(path, PATH_MAX, "%s", name); return; }
    if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
    else if (!path_of(folder, base)) base[0] = 0;
    snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 300, base, name);
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* Count a change; return whether it fails, with errno set. A write that is torn is told by `torn`. */
static int fault(const char *what, const char *path, int needs_room, int *torn) {
    if (!is_below(path)) return 0;
    long number = atomic_fetch_add(&counted, 1) + 1;
    if (log_to >= 0) dprintf(log_to, "%ld %s %s\n", number, what, path + below_length);
    if (kind == FULL && number >= at && needs_room) { errno = ENOSPC; return 1; }
    if (number != at) return 0;
    if (kind == KILL) die();
    if (kind == TEAR) { if (torn) *torn = 1; else die(); }
    if (kind == FAIL) { errno = EIO; return 1; }
    return 0;
}

static int fault_fd(const char *what, int fd, int needs_room, int *torn) {
    char path[PATH_MAX];
    int before = errno;
    if (!below_length || !path_of(fd, path)) { errno = before; return 0; }
    errno = before;
    return fault(what, path, needs_room, torn);
}

static int fault_at(const char *what, int folder, const char *name, int needs_room) {
    char path[PATH_MAX];
    if (!below_length) return 0;
    absolute(folder, name, path);
    return fault(what, path, needs_room, NULL);
}

static int opens(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!below_length || !(flags & (O_CREAT | O_TRUNC))) return 0;
    absolute(folder, name, path);
    REAL(access);
    if (!(flags & O_TRUNC) && !real(path, F_OK)) return 0;  /* it is there: nothing is made */
    return fault("open", path, 1, NULL);
}

#define MODE(flags) va_list list; va_start(list, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; va_end(list)

int open(const char *name, int flags, ...) { MODE(flags); REAL(open); return opens(AT_FDCWD, name, flags) ? -1 : real(name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags); REAL(open64); return opens(AT_FDCWD, name, flags) ? -1 : real(name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags); REAL(openat); return opens(folder, name, flags) ? -1 : real(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags); REAL(openat64); return opens(folder, name, flags) ? -1 : real(folder, name, flags, mode); }

ssize_t write(int fd, const void *data, size_t size) {
    int torn = 0;
    REAL(write);
    if (fault_fd("write", fd, 1, &torn)) return -1;
    if (torn) { real(fd, data, size / 2); die(); }
    return real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    int torn = 0;
    REAL(pwrite);
    if (fault_fd("pwrite", fd, 1, &torn)) return -1;
    if (torn) { real(fd, data, size / 2, place); die(); }
    return real(fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    int torn = 0;
    REAL(pwrite64);
    if (fault_fd("pwrite", fd, 1, &torn)) return -1;
    if (torn) { real(fd, data, size / 2, place); die(); }
    return real(fd, data, size, place);
}
int fsync(int fd) { REAL(fsync); return fault_fd("fsync", fd, 0, NULL) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fault_fd("fdatasync", fd, 0, NULL) ? -1 : real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); return fault_fd("ftruncate", fd, 0, NULL) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return fault_fd("ftruncate", fd, 0, NULL) ? -1 : real(fd, size); }
int rename(const char *old, const char *new) { REAL(rename); return fault_at("rename", AT_FDCWD, new, 0) ? -1 : real(old, new); }
int renameat(int from, const char *old, int to, const char *new) { REAL(renameat); return fault_at("rename", to, new, 0) ? -1 : real(from, old, to, new); }
int unlink(const char *name) { REAL(unlink); return fault_at("unlink", AT_FDCWD, name, 0) ? -1 : real(name); }
int unlinkat(int folder, const char *name, int flags) { REAL(unlinkat); return fault_at("unlink", folder, name, 0) ? -1 : real(folder, name, flags); }
int mkdir(const char *name, mode_t mode) { REAL(mkdir); return fault_at("mkdir", AT_FDCWD, name, 1) ? -1 : real(name, mode); }
int mkdirat(int folder, const char *name, mode_t mode) { REAL(mkdirat); return fault_at("mkdir", folder, name, 1) ? -1 : real(folder, name, mode); }
int rmdir(const char *name) { REAL(rmdir); return fault_at("rmdir", AT_FDCWD, name, 0) ? -1 : real(name); }
