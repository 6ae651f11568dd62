/* SPDX-License-Identifier: MIT */
#include "bench/environment.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include "bench/units.h"
#include "queue/idle_strategy.h"

#define STEAL_NOTICEABLE 0.005 /* of all CPU time */

static struct environment_warning *add_warning(struct environment *environment, const char *id,
                                               bool is_strict)
{
    ASSERT(environment->warning_count < ENVIRONMENT_MAX_WARNINGS);
    struct environment_warning *warning = &environment->warnings[environment->warning_count++];
    warning->id = id;
    warning->is_strict = is_strict;
    return warning;
}

__attribute__((format(printf, 2, 3))) static void say(char (*text)[160], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(*text, sizeof *text, format, arguments);
    va_end(arguments);
}

/* The file's first line without its end; "" when it cannot be read. */
static void read_line(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(text, (int)size, file) == NULL) {
            text[0] = '\0';
        }
        (void)fclose(file);
    }
    text[strcspn(text, "\n")] = '\0';
}

/* Model name and the hypervisor flag, of the first CPU listed. */
static bool read_cpuinfo(struct environment *environment)
{
    static char line[8192]; /* the flags' line is long; called once, at start */
    bool is_virtual = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL && line[0] != '\n') {
        line[strcspn(line, "\n")] = '\0';
        const char *value = strchr(line, ':');
        if (value != NULL && strncmp(line, "model name", 10) == 0) {
            (void)snprintf(environment->cpu_model, sizeof environment->cpu_model, "%s",
                           value + 1 + strspn(value + 1, " "));
        }
        if (value != NULL && strncmp(line, "flags", 5) == 0) {
            is_virtual = strstr(value, " hypervisor") != NULL;
        }
    }
    (void)fclose(file);
    return is_virtual;
}

static bool is_virtual_vendor(const char *text)
{
    static const char *const names[] = {
        "QEMU",    "KVM",        "VMware",         "VirtualBox", "Bochs",          "Xen",
        "innotek", "Amazon EC2", "Google Compute", "OpenStack",  "Virtual Machine"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(text, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void read_hypervisor(struct environment *environment, bool is_flagged)
{
    char vendor[40];
    char product[40];
    read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
    read_line("/sys/class/dmi/id/product_name", product, sizeof product);
    bool is_named = is_virtual_vendor(vendor) || is_virtual_vendor(product);
    if (!is_flagged && !is_named) {
        return;
    }
    if (vendor[0] != '\0') {
        (void)snprintf(environment->hypervisor, sizeof environment->hypervisor, "%s %s", vendor,
                       product);
    } else {
        read_line("/sys/hypervisor/type", environment->hypervisor, sizeof environment->hypervisor);
        if (environment->hypervisor[0] == '\0') {
            (void)snprintf(environment->hypervisor, sizeof environment->hypervisor, "unknown");
        }
    }
}

#define SHM_DIRECTORY "/dev/shm"

/* The file system of the directory or, while it does not exist, of the nearest one above it. */
static bool find_file_system(const char *directory, struct statfs *info)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", directory == NULL ? SHM_DIRECTORY : directory);
    while (statfs(path, info) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash[1] == '\0') {
            return statfs(slash == NULL ? "." : "/", info) == 0;
        }
        slash[slash == path ? 1 : 0] = '\0'; /* the root stays */
    }
    return true;
}

static void read_file_system(struct environment *environment, const char *directory)
{
    static const struct {
        long magic;
        const char *name;
    } known[] = {{TMPFS_MAGIC, "tmpfs"},
                 {RAMFS_MAGIC, "ramfs"},
                 {HUGETLBFS_MAGIC, "hugetlbfs"},
                 {EXT4_SUPER_MAGIC, "ext4"},
                 {XFS_SUPER_MAGIC, "xfs"},
                 {BTRFS_SUPER_MAGIC, "btrfs"},
                 {OVERLAYFS_SUPER_MAGIC, "overlay"},
                 {NFS_SUPER_MAGIC, "nfs"}};
    struct statfs info;
    if (!find_file_system(directory, &info)) {
        (void)snprintf(environment->wal_fs, sizeof environment->wal_fs, "unknown");
        return;
    }
    (void)snprintf(environment->wal_fs, sizeof environment->wal_fs, "type 0x%lx",
                   (unsigned long)info.f_type);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].magic == (long)info.f_type) {
            (void)snprintf(environment->wal_fs, sizeof environment->wal_fs, "%s", known[i].name);
        }
    }
}

/* What the files below a directory occupy. */
static uint64_t occupied_bytes(const char *directory)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", directory);
    char *roots[] = {path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    uint64_t bytes = 0;
    if (walk == NULL) {
        return 0;
    }
    for (const FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk)) {
        bytes += entry->fts_info == FTS_F ? (uint64_t)entry->fts_statp->st_blocks * 512 : 0;
    }
    (void)fts_close(walk);
    return bytes;
}

static uint64_t available_memory(void)
{
    char line[128];
    uint64_t kibibytes = UINT64_MAX / 1024;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        return UINT64_MAX;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            kibibytes = strtoull(line + 13, NULL, 10);
        }
    }
    (void)fclose(file);
    return kibibytes * 1024;
}

int environment_judge_space(const char *place, uint64_t needed_bytes, uint64_t free_bytes,
                            uint64_t free_memory, struct problem *problem)
{
    const char *advice = "use a smaller --segment-size or fewer --segments";
    if (needed_bytes > free_bytes) {
        (void)problem_set(problem,
                          "%s has %s free, the logs need %s; %s, or enlarge it: "
                          "mount -o remount,size=... %s",
                          place, units_bytes(free_bytes).text, units_bytes(needed_bytes).text,
                          advice, place);
        return -ENOSPC;
    }
    if (needed_bytes > free_memory) {
        (void)problem_set(
            problem, "%s lives in memory, of which %s are left, and the logs need %s; %s", place,
            units_bytes(free_memory).text, units_bytes(needed_bytes).text, advice);
        return -ENOSPC;
    }
    return 0;
}

int environment_check_space(const char *wal_directory, uint64_t needed_bytes,
                            struct problem *problem)
{
    struct statfs info;
    if (!find_file_system(wal_directory, &info)) {
        return 0; /* opening the cluster will say why */
    }
    uint64_t there = wal_directory == NULL ? 0 : occupied_bytes(wal_directory);
    uint64_t needed = needed_bytes > there ? needed_bytes - there : 0;
    bool is_memory = (long)info.f_type == TMPFS_MAGIC || (long)info.f_type == RAMFS_MAGIC;
    /* A tmpfs without a limit says that it has no blocks. */
    bool is_limited = info.f_blocks > 0;
    return environment_judge_space(wal_directory == NULL ? SHM_DIRECTORY : wal_directory, needed,
                                   is_limited ? (uint64_t)info.f_bavail * (uint64_t)info.f_bsize
                                              : UINT64_MAX,
                                   is_memory ? available_memory() : UINT64_MAX, problem);
}

static void warn_of_threads(struct environment *environment, const struct environment_plan *plan)
{
    uint32_t busy = plan->nodes + plan->clients;
    if (busy > environment->cpus) {
        struct environment_warning *warning = add_warning(environment, "cpus", true);
        say(&warning->text,
            "%" PRIu32 " busy threads on %" PRIu32 " CPUs: latency is scheduler wait", busy,
            environment->cpus);
        say(&warning->fix, "fewer --nodes or --clients, or a machine with %" PRIu32 " CPUs", busy);
    }
    if (plan->nodes % 2 == 0) {
        struct environment_warning *warning = add_warning(environment, "even-nodes", false);
        say(&warning->text, "%" PRIu32 " nodes survive as many failures as %" PRIu32, plan->nodes,
            plan->nodes - 1);
        say(&warning->fix, "use an odd number of --nodes");
    }
}

static void warn_of_machine(struct environment *environment, const struct environment_plan *plan)
{
    if (strcmp(environment->wal_fs, "tmpfs") != 0) {
        struct environment_warning *warning = add_warning(environment, "wal-fs", true);
        say(&warning->text, "the logs are on %s, not on tmpfs: its speed is in the numbers",
            environment->wal_fs);
        say(&warning->fix, "%s",
            plan->wal_directory == NULL ? "mount a tmpfs on /dev/shm" : "--wal-dir below /dev/shm");
    }
    if (environment->hypervisor[0] != '\0') {
        bool is_named = strcmp(environment->hypervisor, "unknown") != 0;
        struct environment_warning *warning = add_warning(environment, "virtual-machine", true);
        say(&warning->text, "a virtual machine%s%s%s: its host decides when the CPUs run",
            is_named ? " (" : "", is_named ? environment->hypervisor : "", is_named ? ")" : "");
        say(&warning->fix, "repeat runs and compare medians, or use bare metal");
    }
    if (environment->governor[0] != '\0' && strcmp(environment->governor, "performance") != 0) {
        struct environment_warning *warning = add_warning(environment, "governor", true);
        say(&warning->text, "CPU frequency governor '%s': the clock follows the load",
            environment->governor);
        say(&warning->fix, "cpupower frequency-set -g performance");
    }
}

void environment_read(struct environment *environment, const struct environment_plan *plan)
{
    *environment = (struct environment){.cpus = idle_usable_cpus()};
    bool is_flagged = read_cpuinfo(environment);
    read_hypervisor(environment, is_flagged);
    struct utsname name;
    if (uname(&name) == 0) {
        (void)snprintf(environment->kernel, sizeof environment->kernel, "%.20s %.60s", name.sysname,
                       name.release);
    }
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", environment->governor,
              sizeof environment->governor);
    read_file_system(environment, plan->wal_directory);
    warn_of_threads(environment, plan);
    warn_of_machine(environment, plan);
}

void environment_check_steal(struct environment *environment,
                             const struct process_machine_time *before,
                             const struct process_machine_time *after)
{
    uint64_t total = after->total - before->total;
    uint64_t stolen = after->stolen - before->stolen;
    if (total > 0 && (double)stolen / (double)total > STEAL_NOTICEABLE) {
        struct environment_warning *warning = add_warning(environment, "steal", true);
        say(&warning->text, "the hypervisor gave %.1f %% of the CPU time to others",
            100 * (double)stolen / (double)total);
        say(&warning->fix, "run again when the host is quieter");
    }
}

bool environment_is_strictly_bad(const struct environment *environment)
{
    for (size_t i = 0; i < environment->warning_count; i++) {
        if (environment->warnings[i].is_strict) {
            return true;
        }
    }
    return false;
}
