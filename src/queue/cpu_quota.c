/* SPDX-License-Identifier: MIT */
#include "queue/cpu_quota.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t cpu_quota_round_up(int64_t quota_us, int64_t period_us)
{
    if (quota_us <= 0 || period_us <= 0)
        return CPU_QUOTA_NONE;
    int64_t cpus = (quota_us - 1) / period_us + 1;
    return cpus < (int64_t)CPU_QUOTA_NONE ? (uint32_t)cpus : CPU_QUOTA_NONE;
}

/* The first line of directory/name, without its end; false when it cannot be read. */
static bool read_line(const char *directory, const char *name, char *line, int line_bytes)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool has_line = fgets(line, line_bytes, file) != NULL;
    (void)fclose(file); /* opened for reading: nothing to lose */
    return has_line;
}

/* The number `*text` begins with, stepping behind it; 0 when there is none ("max"). */
static int64_t take_number(const char **text)
{
    char *end = NULL;
    long long number = strtoll(*text, &end, 10);
    *text = end;
    return number;
}

/* One group's own quota. cpu.max holds "max PERIOD" or "QUOTA PERIOD"; version 1 has a file for
 * each, and -1 for none. */
static uint32_t group_quota(const char *directory, bool is_v2)
{
    char line[64];
    const char *text = line;
    if (!read_line(directory, is_v2 ? "cpu.max" : "cpu.cfs_quota_us", line, sizeof line))
        return CPU_QUOTA_NONE;
    int64_t quota_us = take_number(&text);
    if (!is_v2) {
        text = line;
        if (!read_line(directory, "cpu.cfs_period_us", line, sizeof line))
            return CPU_QUOTA_NONE;
    }
    return cpu_quota_round_up(quota_us, take_number(&text));
}

/* The smallest quota from root/group up to and including root. A group that is not there (its name
 * may be the host's, seen from inside a container) limits nothing; the groups above it still count.
 */
static uint32_t path_quota(const char *root, const char *group, bool is_v2)
{
    char directory[PATH_MAX];
    int length = snprintf(directory, sizeof directory, "%s%s", root, group);
    if (length < 0 || (size_t)length >= sizeof directory)
        return CPU_QUOTA_NONE;
    size_t root_length = strlen(root);
    uint32_t least = CPU_QUOTA_NONE;
    for (;;) {
        uint32_t quota = group_quota(directory, is_v2);
        least = quota < least ? quota : least;
        char *slash = strrchr(directory, '/');
        if (slash == NULL || (size_t)(slash - directory) < root_length)
            return least;
        *slash = '\0';
    }
}

/* Whether the comma-separated list of version 1 controllers names the one for CPU time. */
static bool names_cpu(const char *controllers)
{
    for (const char *name = controllers; name != NULL;) {
        if (strncmp(name, "cpu", 3) == 0 && (name[3] == ',' || name[3] == '\0'))
            return true;
        name = strchr(name, ',');
        name = name == NULL ? NULL : name + 1;
    }
    return false;
}

/* One line of /proc/self/cgroup: "0::/group" (version 2) or "ID:controllers:/group" (version 1). */
static uint32_t line_quota(char *line, const char *mount)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    if (controllers == NULL)
        return CPU_QUOTA_NONE;
    *controllers++ = '\0';
    char *group = strchr(controllers, ':');
    if (group == NULL)
        return CPU_QUOTA_NONE;
    *group++ = '\0';
    if (*controllers == '\0')
        return path_quota(mount, group, true);
    if (!names_cpu(controllers))
        return CPU_QUOTA_NONE;
    char root[PATH_MAX];
    int length = snprintf(root, sizeof root, "%s/%s", mount, controllers);
    if (length < 0 || (size_t)length >= sizeof root)
        return CPU_QUOTA_NONE;
    return path_quota(root, group, false);
}

uint32_t cpu_quota_cpus(const char *membership_file, const char *mount)
{
    FILE *file = fopen(membership_file, "re");
    if (file == NULL)
        return CPU_QUOTA_NONE;
    char line[PATH_MAX];
    uint32_t least = CPU_QUOTA_NONE;
    while (fgets(line, sizeof line, file) != NULL) {
        uint32_t quota = line_quota(line, mount);
        least = quota < least ? quota : least;
    }
    (void)fclose(file); /* opened for reading: nothing to lose */
    return least;
}
