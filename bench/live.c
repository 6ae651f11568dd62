/* SPDX-License-Identifier: MIT */
#include "bench/live.h"

#include <inttypes.h>
#include <stdarg.h>

#include "bench/units.h"

#define LIVE_COLUMNS 79 /* a terminal's 80th makes some of them wrap */

void live_init(struct live *live, FILE *to, bool is_wanted, bool is_terminal)
{
    *live = (struct live){.to = is_wanted ? to : NULL, .is_terminal = is_terminal};
}

static void put_line(struct live *live, const char *text)
{
    if (live->is_terminal) {
        int width = fprintf(live->to, "\r%-*.*s", live->width, LIVE_COLUMNS, text) - 1;
        live->width = width > 0 ? width : 0;
    } else {
        (void)fprintf(live->to, "%s\n", text);
    }
    (void)fflush(live->to);
}

void live_say(struct live *live, const char *format, ...)
{
    char text[128];
    if (live->to == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_line(live, text);
}

void live_show(struct live *live, const struct live_line *line)
{
    char text[320];
    char leader[24] = "no leader";
    char left[48] = "";
    if (live->to == NULL) {
        return;
    }
    if (line->leader >= 0) {
        (void)snprintf(leader, sizeof leader, "leader n%d", line->leader);
    }
    if (line->left_ns != UINT64_MAX) {
        (void)snprintf(left, sizeof left, "  %" PRIu64 " s left",
                       (line->left_ns + 500000000) / 1000000000);
    }
    (void)snprintf(text, sizeof text, "%7s/s  p50 %-7s  p99 %-7s  %s  failed %s  unknown %s%s",
                   units_rate(line->rate).text,
                   line->p50_ns == 0 ? "-" : units_duration((double)line->p50_ns).text,
                   line->p99_ns == 0 ? "-" : units_duration((double)line->p99_ns).text, leader,
                   units_rate((double)line->failed).text, units_rate((double)line->unknown).text,
                   left);
    put_line(live, text);
}

void live_clear(struct live *live)
{
    if (live->to != NULL && live->is_terminal && live->width > 0) {
        (void)fprintf(live->to, "\r%*s\r", live->width, "");
        (void)fflush(live->to);
        live->width = 0;
    }
}
