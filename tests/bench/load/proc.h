/* proc.h - CPU time and memory of processes, from /proc. */
#ifndef LOAD_PROC_H
#define LOAD_PROC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROC_MAX_PIDS = 1024 };
struct proc_set {
    int pid[PROC_MAX_PIDS];
    size_t count;
};
/* Adds `pid` and all its descendants. */
void proc_add_tree(struct proc_set *set, int pid);
void proc_add(struct proc_set *set, int pid);

struct proc_cpu {
    uint64_t ns;           /* by the scheduler's count, exact */
    uint64_t user, system; /* clock ticks, for the share of each */
};
/* Sums; false when none of them is there any more. */
bool proc_read_cpu(const struct proc_set *set, struct proc_cpu *out);
/* Proportional set size in kB; false when the kernel does not tell. */
bool proc_read_pss(const struct proc_set *set, uint64_t *kb);
#endif
