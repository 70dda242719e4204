// Preloaded into cwm by `npm run bench -- --flush-ms N`: each fsync and fdatasync takes BENCH_FLUSH_MS longer, and adds one byte to the
// file BENCH_FLUSH_COUNT. It catches both ways in which cwm flushes: libuv's calls, and those of SQLite in libsql's native module.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int flush_call(int);

static flush_call *real_fsync, *real_fdatasync;
static long delay_ms;
static int count_file = -1;

// Before the first thread, because the environment may change later.
__attribute__((constructor)) static void prepare(void) {
  const char *ms = getenv("BENCH_FLUSH_MS"), *count = getenv("BENCH_FLUSH_COUNT");
  real_fsync = (flush_call *)dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (flush_call *)dlsym(RTLD_NEXT, "fdatasync");
  if (ms != NULL) delay_ms = atol(ms);
  if (count != NULL) count_file = open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int flush_later(flush_call *flush, int file) {
  struct timespec left = {delay_ms / 1000, delay_ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  if (count_file >= 0 && write(count_file, "f", 1) < 0) abort(); // an uncounted flush would look like an undelayed one
  return flush(file);
}

int fsync(int file) { return flush_later(real_fsync, file); }
int fdatasync(int file) { return flush_later(real_fdatasync, file); }
