/* What the system knows of this process, by the names that Prometheus' own clients use. */
#include "web_internal.h"
#include <aorta/net.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* False where /proc is not to be had. */
static bool read_memory(uint64_t *virtual_bytes, uint64_t *resident_bytes)
{
    unsigned long long pages, resident;
    FILE *file = fopen("/proc/self/statm", "re");
    bool is_read = file && fscanf(file, "%llu %llu", &pages, &resident) == 2;
    if (file)
        fclose(file);
    if (!is_read)
        return false;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    *virtual_bytes = pages * page_bytes;
    *resident_bytes = resident * page_bytes;
    return true;
}

static uint64_t cpu_us(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) < 0)
        return 0;
    uint64_t seconds = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    return seconds * 1000000 + (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static uint64_t max_files(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

static void put_memory(struct buf *b, const char *name, bool is_resident)
{
    uint64_t virtual_bytes, resident_bytes;
    if (read_memory(&virtual_bytes, &resident_bytes))
        buf_printf(b, "%s %llu\n", name,
                   (unsigned long long)(is_resident ? resident_bytes : virtual_bytes));
}

static void put_number(struct buf *b, const char *name, uint64_t value)
{
    buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

void web_put_process_metric(struct buf *b, enum metric_family family, uint64_t started_ms)
{
    const char *name = metric_families[family].name;
    switch (family) {
    case FAMILY_CPU:
        buf_printf(b, "%s %.6f\n", name, (double)cpu_us() / 1e6);
        break;
    case FAMILY_RESIDENT:
    case FAMILY_VIRTUAL:
        put_memory(b, name, family == FAMILY_RESIDENT);
        break;
    case FAMILY_OPEN_FDS:
        put_number(b, name, net_files_open());
        break;
    case FAMILY_MAX_FDS:
        put_number(b, name, max_files());
        break;
    case FAMILY_START: /* the system's own figure counts from a boot that may be hidden from us */
        buf_printf(b, "%s %.3f\n", name, (double)started_ms / 1e3);
        break;
    default:
        break;
    }
}
