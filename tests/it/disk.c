/* A disk that forgets what no fsync brought to it, under the real program (LD_PRELOAD). What it holds of `own.db` and its
   companions is in the folder DISK: that is what a power cut would leave. While the file BROKEN exists each fsync fails, and what
   was written before it is never brought to the disk, as Linux does it: the system's memory holds it still, and takes it for
   stored. What a process had written when it was killed is forgotten too. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct written { char name[64]; off_t from, to; } *written;
static size_t count, room;

/* The last part of a path, if it is one of ours. */
static const char *ours(const char *path) {
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    int is = !strncmp(name, "own.db", 6) && strcmp(name, "own.db-shm") && strcmp(name, "own.db.lock");
    return is && strlen(name) < 64 ? name : NULL;
}

static const char *named(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    if (length < 0) return NULL;
    path[length] = 0;
    return ours(path);
}

static char *on_disk(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("DISK"), name);
    return path;
}

static void note(int fd, off_t from, size_t length) {
    char path[4096];
    const char *name = named(fd, path);
    if (!name) return;
    pthread_mutex_lock(&turn);
    if (count == room) written = realloc(written, (room = room * 2 + 64) * sizeof *written);
    strcpy(written[count].name, name);
    written[count].from = from;
    written[count++].to = from + length;
    pthread_mutex_unlock(&turn);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    ssize_t done = syscall(SYS_pwrite64, fd, data, length, offset);
    /* Not before: an fsync in between would take what is not there yet for brought. */
    if (done > 0) note(fd, offset, done);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }
ssize_t write(int fd, const void *data, size_t length) {
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, data, length);
    if (offset >= 0 && done > 0) note(fd, offset, done);
    return done;
}

int fsync(int fd) {
    char path[4096], buffer[65536];
    const char *name = named(fd, path);
    int broken = access(getenv("BROKEN"), F_OK) == 0;
    if (name) {
        pthread_mutex_lock(&turn);
        int disk = broken ? -1 : open(on_disk(name), O_RDWR | O_CREAT, 0600);
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(written[i].name, name)) {
                written[kept++] = written[i];
                continue;
            }
            off_t at = written[i].from;
            while (!broken && at < written[i].to) {
                size_t length = written[i].to - at < (off_t)sizeof buffer ? written[i].to - at : sizeof buffer;
                ssize_t got = pread(fd, buffer, length, at);
                if (got <= 0) break;
                syscall(SYS_pwrite64, disk, buffer, got, at);
                at += got;
            }
        }
        count = kept;
        if (disk >= 0) close(disk);
        pthread_mutex_unlock(&turn);
    }
    if (broken) errno = EIO;
    return broken ? -1 : 0;
}
int fdatasync(int fd) { return fsync(fd); }

int ftruncate64(int fd, off_t length) {
    char path[4096];
    const char *name = named(fd, path);
    pthread_mutex_lock(&turn);
    if (name && access(on_disk(name), F_OK) == 0) syscall(SYS_truncate, on_disk(name), length);
    pthread_mutex_unlock(&turn);
    return syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *path) {
    const char *name = ours(path);
    pthread_mutex_lock(&turn);
    if (name) syscall(SYS_unlink, on_disk(name));
    pthread_mutex_unlock(&turn);
    return syscall(SYS_unlink, path);
}
