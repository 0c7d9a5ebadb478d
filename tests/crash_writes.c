/* Ends the process at a chosen call that changes a file, as if the machine had killed it there.
 *
 * Preloaded into a process, it counts the calls on files below CRASH_UNDER, in the file CRASH_TOLD
 * that the parent reads, and at call number CRASH_AT of those chosen it sends SIGKILL to the
 * process: right after the call, or with CRASH_TORN once half of what was to be written is. Chosen
 * are the calls of the kinds whose bit is set in CRASH_CALLS, on files whose bit is in CRASH_FILES.
 * See crash_writes.py for the bits, and for the layout of the counters.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum call { WRITE, SYNC, CUT, RENAME, REMOVE, CALLS };
enum file { DATABASE, WAL, OTHER, FILES };

struct told {
    _Atomic long counts[FILES][CALLS];
    _Atomic long chosen;
    _Atomic long hit;
    long call, file;
    char path[PATH_MAX];
};

static struct told *told;
static const char *under;
static size_t under_length;
static long at, calls, files, torn;

static long number_of(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? 0 : strtol(value, NULL, 10);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CRASH_TOLD");
    under = getenv("CRASH_UNDER");
    if (path == NULL || under == NULL)
        return;
    under_length = strlen(under);
    at = number_of("CRASH_AT"), torn = number_of("CRASH_TORN");
    calls = number_of("CRASH_CALLS"), files = number_of("CRASH_FILES");
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, sizeof *told) != 0)
        abort();
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (told == MAP_FAILED)
        abort();
    close(descriptor);
}

static int ends_with(const char *path, const char *end)
{
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && strcmp(path + length - wanted, end) == 0;
}

static enum file file_of(const char *path)
{
    if (strstr(path, ".duckdb.wal") != NULL)
        return WAL;
    return ends_with(path, "/bellwether.duckdb") ? DATABASE : OTHER;
}

/* Count a call; whether it is the one after which nothing more may happen. */
static int due(enum call call, const char *path)
{
    if (told == NULL || strncmp(path, under, under_length) != 0)
        return 0;
    enum file file = file_of(path);
    atomic_fetch_add(&told->counts[file][call], 1);
    if (!(calls >> call & 1) || !(files >> file & 1))
        return 0;
    if (atomic_fetch_add(&told->chosen, 1) + 1 != at)
        return 0;
    told->call = call, told->file = file;
    strncpy(told->path, path, sizeof told->path - 1);
    return 1;
}

static int due_on(enum call call, int descriptor)
{
    char name[64], path[PATH_MAX];
    if (told == NULL)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return due(call, path);
}

static void end(void)
{
    atomic_store(&told->hit, 1);
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

#define REAL(name) ((__typeof__(&name))(dlsym(RTLD_NEXT, #name)))

#define ENDING(call_made, is_due)  \
    do {                           \
        int due_now = (is_due);    \
        __auto_type result = call_made; \
        if (due_now)               \
            end();                 \
        return result;             \
    } while (0)

#define WRITING(call_made, half_made, descriptor, count) \
    do {                                                 \
        int due_now = due_on(WRITE, descriptor);         \
        if (due_now && torn) {                           \
            size_t half = (count) / 2;                   \
            if (half > 0 && (half_made) < 0)             \
                abort();                                 \
            end();                                       \
        }                                                \
        ssize_t result = call_made;                      \
        if (due_now)                                     \
            end();                                       \
        return result;                                   \
    } while (0)

ssize_t write(int fd, const void *data, size_t count)
{
    WRITING(REAL(write)(fd, data, count), REAL(write)(fd, data, half), fd, count);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
    WRITING(REAL(pwrite)(fd, data, count, offset), REAL(pwrite)(fd, data, half, offset), fd, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
    WRITING(REAL(pwrite64)(fd, data, count, offset), REAL(pwrite64)(fd, data, half, offset), fd,
            count);
}

int fsync(int fd) { ENDING(REAL(fsync)(fd), due_on(SYNC, fd)); }

int fdatasync(int fd) { ENDING(REAL(fdatasync)(fd), due_on(SYNC, fd)); }

int ftruncate(int fd, off_t length) { ENDING(REAL(ftruncate)(fd, length), due_on(CUT, fd)); }

int ftruncate64(int fd, off64_t length) { ENDING(REAL(ftruncate64)(fd, length), due_on(CUT, fd)); }

int rename(const char *from, const char *to) { ENDING(REAL(rename)(from, to), due(RENAME, to)); }

int unlink(const char *path) { ENDING(REAL(unlink)(path), due(REMOVE, path)); }
