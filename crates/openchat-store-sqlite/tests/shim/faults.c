/*
 * A disk that fails on purpose, and a clock that is off: preloaded into a program under test.
 *
 * It counts the write points of the files below one directory: every write, change of length,
 * removal, renaming and sync. At the point that the control file names it does what that file says.
 * The control file is shared memory: a test may change it while the program runs, and reads from it
 * what happened after a SIGKILL too.
 *
 *   FAULTS_BELOW    the directory
 *   FAULTS_CONTROL  the control file, `struct control` below
 *   FAULTS_DURABLE  if set: the disk's own contents, without the page cache. A sync copies there
 *                   what was written; a test that cuts the power puts it in the place of FAULTS_BELOW.
 *                   Nothing is synced in truth then, so it is fast.
 *
 * Shared-memory files of SQLite ("-shm") are mapped and made anew after a crash: only a full disk
 * matters to them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum fault { NONE, KILL_BEFORE, KILL_AFTER, TEAR, TEAR_AT_SECTOR, FAIL_SYNC };

/* As `shim/mod.rs` writes and reads it. */
struct control {
    uint64_t points;   /* write points so far */
    uint64_t at;       /* the one at which something happens, of syncs if one fails; 0: none */
    uint64_t fault;    /* what */
    uint64_t full;     /* whether the disk has no room for anything */
    uint64_t refused;  /* writes that a full disk refused */
    uint64_t failed;   /* the inode whose sync failed */
    uint64_t again;    /* syncs of that file after the failed one */
    uint64_t syncs;    /* syncs of files so far */
    int64_t clock;     /* seconds that the wall clock is off by */
};

enum { SECTOR = 512 };

static struct control *control;
static char below[PATH_MAX];
static char durable[PATH_MAX];
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("FAULTS_BELOW");
    const char *file = getenv("FAULTS_CONTROL");
    const char *disk = getenv("FAULTS_DURABLE");
    if (!directory || !file || !realpath(directory, below))
        return;
    if (disk && !realpath(disk, durable))
        return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        control = shared;
}

static void die(void)
{
    /* The lock is held: no other thread reaches the disk in the meantime. */
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What follows `below` in the path, "" for the directory itself; NULL if the path is elsewhere. */
static const char *inside(const char *path)
{
    size_t length = strlen(below);
    if (strncmp(path, below, length) != 0 || (path[length] != '/' && path[length] != 0))
        return NULL;
    return path + length;
}

static const char *inside_fd(int fd, char *path)
{
    if (!control)
        return NULL;
    int before = errno;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = before;
    if (length < 0)
        return NULL;
    path[length] = 0;
    return inside(path);
}

static const char *inside_path(const char *file, char *path)
{
    if (!control)
        return NULL;
    if (file[0] != '/') {
        if (!getcwd(path, PATH_MAX / 2))
            return NULL;
        strcat(path, "/");
        strncat(path, file, PATH_MAX / 2 - 1);
        return inside(path);
    }
    return inside(file);
}

static int is_shared_memory(const char *rest)
{
    size_t length = strlen(rest);
    return length >= 4 && strcmp(rest + length - 4, "-shm") == 0;
}

/* Counts a write point; what has to happen at it. */
static enum fault reach(void)
{
    uint64_t point = ++control->points;
    if (control->fault == FAIL_SYNC || point != control->at)
        return NONE;
    return (enum fault)control->fault;
}

static int has_no_room(void)
{
    if (!control->full)
        return 0;
    control->refused++;
    errno = ENOSPC;
    return 1;
}

static void copy_contents(int from, const char *to)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    static char bytes[1 << 16];
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, bytes, sizeof bytes, at)) > 0) {
        syscall(SYS_pwrite64, fd, bytes, (size_t)got, at);
        at += got;
    }
    syscall(SYS_ftruncate, fd, at);
    close(fd);
}

/* Files are on the disk as far as they are in the directory, each with the contents it has there. */
static void copy_names(void)
{
    char path[2 * PATH_MAX];
    struct dirent *file;
    DIR *names = opendir(durable);
    while (names && (file = readdir(names))) {
        snprintf(path, sizeof path, "%s/%s", below, file->d_name);
        if (access(path, F_OK) != 0) {
            snprintf(path, sizeof path, "%s/%s", durable, file->d_name);
            syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        }
    }
    if (names)
        closedir(names);
    names = opendir(below);
    while (names && (file = readdir(names))) {
        struct stat found;
        snprintf(path, sizeof path, "%s/%s", below, file->d_name);
        if (stat(path, &found) != 0 || !S_ISREG(found.st_mode))
            continue;
        snprintf(path, sizeof path, "%s/%s", durable, file->d_name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
    }
    if (names)
        closedir(names);
}

static int make_durable(int fd, const char *rest)
{
    if (!durable[0])
        return (int)syscall(SYS_fsync, fd);
    char to[2 * PATH_MAX];
    snprintf(to, sizeof to, "%s%s", durable, rest);
    int before = errno;
    if (rest[0] == 0) {
        copy_names();
    } else {
        /* The program's own descriptor may be for writing only. */
        char own[64];
        snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
        int from = open(own, O_RDONLY | O_CLOEXEC);
        if (from >= 0) {
            copy_contents(from, to);
            close(from);
        }
    }
    errno = before;
    return 0;
}

static int refuse_sync(const struct stat *file)
{
    control->failed = file->st_ino;
    errno = EIO;
    return -1;
}

static int sync_file(int fd, const char *rest)
{
    struct stat file = {0};
    /* Directories can't be synced everywhere, so SQLite does not mind if they fail. */
    int counts = fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    control->syncs += counts;
    if (control->failed && control->failed == file.st_ino)
        control->again++;
    if (counts && control->fault == FAIL_SYNC && control->syncs == control->at)
        return refuse_sync(&file);
    switch (reach()) {
    case NONE:
        return make_durable(fd, rest);
    case KILL_AFTER:
        make_durable(fd, rest);
        break;
    default:
        break;
    }
    die();
    return -1;
}

static int locked_sync(int fd)
{
    char path[PATH_MAX];
    const char *rest = inside_fd(fd, path);
    if (!rest || is_shared_memory(rest))
        return (int)syscall(SYS_fsync, fd);
    pthread_mutex_lock(&one_at_a_time);
    int done = sync_file(fd, rest);
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

int fsync(int fd) { return locked_sync(fd); }
int fdatasync(int fd) { return locked_sync(fd); }

static ssize_t put(int fd, const void *bytes, size_t size, const off64_t *at)
{
    if (at)
        return syscall(SYS_pwrite64, fd, bytes, size, *at);
    return syscall(SYS_write, fd, bytes, size);
}

static ssize_t put_with_faults(int fd, const void *bytes, size_t size, const off64_t *at)
{
    switch (reach()) {
    case NONE:
        return put(fd, bytes, size, at);
    case KILL_AFTER:
        put(fd, bytes, size, at);
        break;
    case TEAR:
        put(fd, bytes, size / 2 + 1, at);
        break;
    case TEAR_AT_SECTOR:
        put(fd, bytes, size < SECTOR ? 0 : SECTOR, at);
        break;
    default:
        break;
    }
    die();
    return -1;
}

static ssize_t locked_put(int fd, const void *bytes, size_t size, const off64_t *at)
{
    char path[PATH_MAX];
    const char *rest = inside_fd(fd, path);
    if (!rest)
        return put(fd, bytes, size, at);
    pthread_mutex_lock(&one_at_a_time);
    ssize_t done = -1;
    if (!has_no_room())
        done = is_shared_memory(rest) ? put(fd, bytes, size, at)
                                      : put_with_faults(fd, bytes, size, at);
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t size) { return locked_put(fd, bytes, size, NULL); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return locked_put(fd, bytes, size, &at);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    off64_t wide = at;
    return locked_put(fd, bytes, size, &wide);
}

/* What can't be torn: it happens or not. */
enum kind { TRUNCATE, UNLINK, RENAME };

static int change(enum kind kind, int fd, const char *file, const char *other, off64_t size)
{
    switch (kind) {
    case TRUNCATE:
        return (int)syscall(SYS_ftruncate, fd, size);
    case UNLINK:
        return (int)syscall(SYS_unlinkat, AT_FDCWD, file, 0);
    default:
        return (int)syscall(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, other, 0);
    }
}

static int locked_change(enum kind kind, int fd, const char *file, const char *other, off64_t size)
{
    char path[PATH_MAX];
    const char *rest = file ? inside_path(file, path) : inside_fd(fd, path);
    if (!rest || is_shared_memory(rest))
        return change(kind, fd, file, other, size);
    pthread_mutex_lock(&one_at_a_time);
    int done;
    enum fault fault = reach();
    if (fault == NONE) {
        done = change(kind, fd, file, other, size);
    } else {
        if (fault == KILL_AFTER)
            change(kind, fd, file, other, size);
        die();
        done = -1;
    }
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

int ftruncate64(int fd, off64_t size) { return locked_change(TRUNCATE, fd, NULL, NULL, size); }
int ftruncate(int fd, off_t size) { return locked_change(TRUNCATE, fd, NULL, NULL, size); }
int unlink(const char *file) { return locked_change(UNLINK, -1, file, NULL, 0); }
int rename(const char *file, const char *to) { return locked_change(RENAME, -1, file, to, 0); }

int clock_gettime(clockid_t which, struct timespec *now)
{
    int done = (int)syscall(SYS_clock_gettime, which, now);
    if (done == 0 && control && which == CLOCK_REALTIME)
        now->tv_sec += control->clock;
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
