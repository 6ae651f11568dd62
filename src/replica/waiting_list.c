/* SPDX-License-Identifier: MIT */
#include "replica/waiting_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

int waiting_list_init(struct waiting_list *list, uint64_t slots, uint64_t read_bytes)
{
    ASSERT(bytes_is_power_of_two(slots) && bytes_is_power_of_two(read_bytes));
    *list = (struct waiting_list){.mask = slots - 1, .reads_capacity = read_bytes};
    list->proposals = calloc(slots, sizeof *list->proposals);
    list->reads = malloc(read_bytes);
    if (list->proposals == NULL || list->reads == NULL) {
        waiting_list_deinit(list);
        return -ENOMEM;
    }
    return 0;
}

void waiting_list_deinit(struct waiting_list *list)
{
    free(list->proposals);
    free(list->reads);
    *list = (struct waiting_list){0};
}

static struct waiting_read *read_at(const struct waiting_list *list, uint64_t position)
{
    return (struct waiting_read *)(void *)(list->reads + (position & (list->reads_capacity - 1)));
}

/* An entry that would wrap is preceded by one that only fills the end of the ring (key_bytes 0). */
bool waiting_list_add_read(struct waiting_list *list, const struct request *request)
{
    struct command command;
    if (!command_decode(request->command, request->command_bytes, &command)) {
        command = (struct command){.key_bytes = 0};
    }
    uint64_t bytes = bytes_align_up(sizeof(struct waiting_read) + command.key_bytes,
                                    _Alignof(struct waiting_read));
    uint64_t to_end = list->reads_capacity - (list->reads_last & (list->reads_capacity - 1));
    uint64_t padding = bytes <= to_end ? 0 : to_end;
    if (list->reads_last + padding + bytes + sizeof(struct waiting_read) - list->reads_first >
        list->reads_capacity) {
        return false;
    }
    if (padding >= sizeof(struct waiting_read)) {
        read_at(list, list->reads_last)->bytes = 0; /* skip to the start */
    }
    list->reads_last += padding;
    struct waiting_read *entry = read_at(list, list->reads_last);
    *entry = (struct waiting_read){.round = UINT64_MAX,
                                   .sequence = request->sequence,
                                   .client = request->client,
                                   .key_bytes = command.key_bytes,
                                   .bytes = (uint32_t)bytes};
    if (command.key_bytes > 0) {
        memcpy(entry + 1, command.key, command.key_bytes);
    }
    list->reads_last += bytes;
    return true;
}

/* The entry at a position, past any filling at the end of the ring. */
static uint64_t skip_padding(const struct waiting_list *list, uint64_t position)
{
    uint64_t to_end = list->reads_capacity - (position & (list->reads_capacity - 1));
    bool is_padding = to_end < sizeof(struct waiting_read) || read_at(list, position)->bytes == 0;
    return is_padding ? position + to_end : position;
}

void waiting_list_assign_round(struct waiting_list *list, uint64_t round, uint64_t slot)
{
    while (list->reads_unassigned != list->reads_last) {
        list->reads_unassigned = skip_padding(list, list->reads_unassigned);
        struct waiting_read *entry = read_at(list, list->reads_unassigned);
        entry->round = round;
        entry->slot = slot;
        list->reads_unassigned += entry->bytes;
    }
}

const struct waiting_read *waiting_list_first_read(const struct waiting_list *list,
                                                   const uint8_t **key)
{
    ASSERT(waiting_list_has_reads(list));
    const struct waiting_read *entry = read_at(list, skip_padding(list, list->reads_first));
    *key = (const uint8_t *)(entry + 1);
    return entry;
}

void waiting_list_drop_first_read(struct waiting_list *list)
{
    ASSERT(waiting_list_has_reads(list));
    uint64_t position = skip_padding(list, list->reads_first);
    list->reads_first = position + read_at(list, position)->bytes;
    if (list->reads_unassigned < list->reads_first) {
        list->reads_unassigned = list->reads_first;
    }
}
