#include "proc.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void proc_add(struct proc_set *set, int pid)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->pid[i] == pid)
            return;
    if (set->count < PROC_MAX_PIDS)
        set->pid[set->count++] = pid;
}

static bool read_file(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    size_t n = fread(out, 1, cap - 1, f);
    fclose(f);
    out[n] = '\0';
    return n > 0;
}

/* Field `number` of /proc/PID/stat, counted from 1 as proc(5) does; 3 and later. */
static bool read_stat(int pid, int number, uint64_t *out)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    char *at = strrchr(text, ')'); /* the name before may hold anything */
    for (int i = 2; at && i < number; i++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return false;
    *out = strtoull(at + 1, NULL, 10);
    return true;
}

static void add_children(struct proc_set *set, int parent)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(proc)) != NULL) {
        uint64_t its_parent;
        int pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (pid > 0 && read_stat(pid, 4, &its_parent) && its_parent == (uint64_t)parent)
            proc_add(set, pid);
    }
    closedir(proc);
}

void proc_add_tree(struct proc_set *set, int pid)
{
    size_t first = set->count;
    proc_add(set, pid);
    for (size_t i = first; i < set->count; i++)
        add_children(set, set->pid[i]);
}

static bool read_threads(int pid, uint64_t *ns)
{
    char path[320], text[128];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return false;
    struct dirent *entry;
    while ((entry = readdir(tasks)) != NULL) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        if (entry->d_name[0] != '.' && read_file(path, text, sizeof text))
            *ns += strtoull(text, NULL, 10);
    }
    closedir(tasks);
    return true;
}

bool proc_read_cpu(const struct proc_set *set, struct proc_cpu *out)
{
    bool is_there = false;
    *out = (struct proc_cpu){0, 0, 0};
    for (size_t i = 0; i < set->count; i++) {
        uint64_t user, system;
        if (!read_threads(set->pid[i], &out->ns) || !read_stat(set->pid[i], 14, &user) ||
            !read_stat(set->pid[i], 15, &system))
            continue;
        is_there = true;
        out->user += user;
        out->system += system;
    }
    return is_there;
}

bool proc_read_pss(const struct proc_set *set, uint64_t *kb)
{
    bool is_known = false;
    *kb = 0;
    for (size_t i = 0; i < set->count; i++) {
        char path[64], text[2048];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", set->pid[i]);
        const char *line = read_file(path, text, sizeof text) ? strstr(text, "\nPss:") : NULL;
        if (line == NULL)
            continue;
        is_known = true;
        *kb += strtoull(line + 5, NULL, 10);
    }
    return is_known;
}
