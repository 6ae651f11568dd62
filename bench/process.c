/* SPDX-License-Identifier: MIT */
#include "bench/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int process_threads_init(struct process_threads *threads, size_t capacity)
{
    *threads = (struct process_threads){.capacity = capacity};
    threads->list = calloc(capacity, sizeof threads->list[0]);
    return threads->list == NULL ? -ENOMEM : 0;
}

void process_threads_deinit(struct process_threads *threads)
{
    free(threads->list);
    *threads = (struct process_threads){0};
}

static FILE *open_of_thread(int id, const char *file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/%s", id, file);
    return fopen(path, "re");
}

/* The number behind "key:" in a file of such lines; unchanged if there is none. */
static void read_keyed(FILE *file, const char *key, uint64_t *value)
{
    char line[256];
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t length = strlen(key);
        if (strncmp(line, key, length) == 0 && line[length] == ':') {
            *value = strtoull(line + length + 1, NULL, 10);
            return;
        }
    }
}

/* Fields 14 and 15 of stat, user and system ticks: coarse, but there on every kernel. */
static uint64_t cpu_ns_by_ticks(int id)
{
    char line[512] = "";
    FILE *file = open_of_thread(id, "stat");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(file);
    }
    const char *at = strrchr(line, ')'); /* the name may hold blanks */
    for (int field = 2; at != NULL && field < 14; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return 0;
    }
    char *rest;
    uint64_t ticks = strtoull(at, &rest, 10);
    ticks += strtoull(rest, NULL, 10);
    return ticks * 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t cpu_ns(int id)
{
    char line[128];
    uint64_t on_cpu_ns = 0;
    FILE *file = open_of_thread(id, "schedstat");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            on_cpu_ns = strtoull(line, NULL, 10);
        }
        (void)fclose(file);
    }
    return on_cpu_ns != 0 ? on_cpu_ns : cpu_ns_by_ticks(id);
}

/* A thread may end while it is looked at: what cannot be read stays zero. */
static void read_thread(struct process_thread *thread, int id)
{
    *thread = (struct process_thread){.id = id, .name = "?"};
    FILE *file = open_of_thread(id, "comm");
    if (file != NULL) {
        if (fgets(thread->name, sizeof thread->name, file) != NULL) {
            thread->name[strcspn(thread->name, "\n")] = '\0';
        }
        (void)fclose(file);
    }
    thread->cpu_ns = cpu_ns(id);
    file = open_of_thread(id, "status");
    if (file != NULL) {
        read_keyed(file, "voluntary_ctxt_switches", &thread->voluntary_switches);
        read_keyed(file, "nonvoluntary_ctxt_switches", &thread->involuntary_switches);
        (void)fclose(file);
    }
}

static int by_id(const void *left, const void *right)
{
    const struct process_thread *a = left;
    const struct process_thread *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

void process_threads_read(struct process_threads *threads)
{
    threads->count = 0;
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL) {
        return;
    }
    while (threads->count < threads->capacity) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a stream that no other thread has */
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            break;
        }
        if (isdigit((unsigned char)entry->d_name[0])) {
            int id = (int)strtol(entry->d_name, NULL, 10);
            read_thread(&threads->list[threads->count++], id);
        }
    }
    (void)closedir(directory);
    qsort(threads->list, threads->count, sizeof threads->list[0], by_id);
}

void process_threads_subtract(struct process_threads *threads, const struct process_threads *before)
{
    for (size_t i = 0; i < threads->count; i++) {
        struct process_thread *thread = &threads->list[i];
        const struct process_thread *old =
            bsearch(thread, before->list, before->count, sizeof before->list[0], by_id);
        if (old != NULL) {
            thread->cpu_ns -= old->cpu_ns < thread->cpu_ns ? old->cpu_ns : thread->cpu_ns;
            thread->voluntary_switches -= old->voluntary_switches;
            thread->involuntary_switches -= old->involuntary_switches;
        }
    }
}

void process_memory_read(struct process_memory *memory)
{
    *memory = (struct process_memory){0};
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) {
        return;
    }
    read_keyed(file, "VmHWM", &memory->resident_peak);
    read_keyed(file, "VmRSS", &memory->resident);
    read_keyed(file, "RssAnon", &memory->anonymous);
    read_keyed(file, "RssShmem", &memory->shared);
    (void)fclose(file);
    memory->resident_peak *= 1024; /* the kernel's kB are KiB */
    memory->resident *= 1024;
    memory->anonymous *= 1024;
    memory->shared *= 1024;
}

void process_machine_time_read(struct process_machine_time *time)
{
    /* "cpu  user nice system idle iowait irq softirq steal guest guest_nice" */
    *time = (struct process_machine_time){0};
    char line[256];
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        return;
    }
    if (fgets(line, sizeof line, file) != NULL && strncmp(line, "cpu ", 4) == 0) {
        char *at = line + 4;
        for (int field = 1; field <= 8; field++) {
            uint64_t ticks = strtoull(at, &at, 10);
            time->total += ticks;
            time->stolen = field == 8 ? ticks : 0;
        }
    }
    (void)fclose(file);
}
