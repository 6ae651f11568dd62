/* SPDX-License-Identifier: MIT */
#include "cluster/client_lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLAG_TAKEN   1
#define FLAG_REPLIED 2

#define LANE_SPARE_BYTES ((size_t)64 << 10)

static size_t power_of_two_from(size_t least)
{
    size_t power = 4096;
    while (power < least) {
        power *= 2;
    }
    return power;
}

int client_lanes_init(struct client_lanes *lanes, uint32_t nodes, uint32_t limit,
                      uint32_t in_flight_limit, uint32_t command_bytes, uint32_t value_bytes)
{
    memset(lanes, 0, sizeof *lanes);
    lanes->nodes = nodes;
    lanes->limit = limit;
    lanes->in_flight_limit = in_flight_limit;
    /* A quarter of a lane is the largest frame it takes. */
    size_t request = 8 + sizeof(struct request_frame) + command_bytes;
    size_t reply = 8 + sizeof(struct reply_frame);
    lanes->request_capacity = power_of_two_from(4 * request + LANE_SPARE_BYTES);
    lanes->reply_capacity =
        power_of_two_from(4 * (reply + value_bytes) + 2 * reply * in_flight_limit);
    lanes->places = calloc(limit, sizeof *lanes->places);
    return lanes->places == NULL ? -ENOMEM : 0;
}

static void place_destroy(struct client_lanes *lanes, struct client_place *place)
{
    for (uint32_t node = 0; node < lanes->nodes; node++) {
        spsc_lane_destroy(place->to_node[node]);
        spsc_lane_destroy(place->from_node[node]);
    }
    if (place->bell != NULL) {
        doorbell_destroy(place->bell);
    }
    memset(place, 0, sizeof *place);
}

void client_lanes_deinit(struct client_lanes *lanes)
{
    uint32_t count = atomic_load_explicit(&lanes->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        place_destroy(lanes, &lanes->places[i]);
    }
    free(lanes->places);
    lanes->places = NULL;
}

static int place_create(struct client_lanes *lanes, struct client_place *place)
{
    int error = doorbell_create(&place->bell);
    for (uint32_t node = 0; node < lanes->nodes && error == 0; node++) {
        error = spsc_lane_create(&place->to_node[node], lanes->request_capacity);
        if (error == 0) {
            error = spsc_lane_create(&place->from_node[node], lanes->reply_capacity);
        }
    }
    if (error < 0) {
        place_destroy(lanes, place);
    }
    return error;
}

int client_lanes_take(struct client_lanes *lanes)
{
    uint32_t count = atomic_load_explicit(&lanes->count, memory_order_relaxed);
    uint32_t index = 0;
    while (index < count && lanes->places[index].is_taken) {
        index++;
    }
    if (index == lanes->limit) {
        return -EBUSY;
    }
    if (index == count) {
        int error = place_create(lanes, &lanes->places[index]);
        if (error < 0) {
            return error;
        }
        /* release: pairs with the nodes' loads of count [C1]; the place and its lanes visible */
        atomic_store_explicit(&lanes->count, count + 1, memory_order_release);
    }
    lanes->places[index].is_taken = true;
    lanes->places[index].handles++;
    /* relaxed: a hint for idle strategies */
    atomic_fetch_add_explicit(&lanes->open, 1, memory_order_relaxed);
    return (int)index;
}

void client_lanes_give_back(struct client_lanes *lanes, uint32_t index)
{
    lanes->places[index].is_taken = false;
    atomic_fetch_sub_explicit(&lanes->open, 1, memory_order_relaxed);
}

int client_end_init(struct client_end *end, const struct client_lanes *lanes, uint32_t node)
{
    memset(end, 0, sizeof *end);
    end->node = node;
    end->taken = calloc(lanes->limit, sizeof *end->taken);
    end->replied = calloc(lanes->limit, sizeof *end->replied);
    end->flags = calloc(lanes->limit, sizeof *end->flags);
    if (end->taken == NULL || end->replied == NULL || end->flags == NULL) {
        client_end_deinit(end);
        return -ENOMEM;
    }
    return 0;
}

void client_end_deinit(struct client_end *end)
{
    free(end->taken);
    free(end->replied);
    free(end->flags);
    memset(end, 0, sizeof *end);
}

static uint32_t places_made(struct client_lanes *lanes)
{
    /* acquire: pairs with client_lanes_take [C1]; the places and their lanes visible */
    return atomic_load_explicit(&lanes->count, memory_order_acquire);
}

static bool next_from(struct client_end *end, struct client_lanes *lanes, uint32_t client,
                      struct request *request)
{
    size_t bytes = 0;
    const struct request_frame *frame =
        spsc_lane_next(lanes->places[client].to_node[end->node], &bytes);
    if (frame == NULL) {
        return false;
    }
    if ((end->flags[client] & FLAG_TAKEN) == 0) {
        end->flags[client] |= FLAG_TAKEN;
        end->taken[end->taken_count++] = client;
    }
    *request = (struct request){
        .kind = (enum request_kind)frame->kind,
        .client = client,
        .sequence = frame->sequence,
        .command = (const uint8_t *)(frame + 1),
        .command_bytes = (uint32_t)(bytes - sizeof *frame),
    };
    return true;
}

bool client_end_next(struct client_end *end, struct client_lanes *lanes, struct request *request)
{
    uint32_t count = places_made(lanes);
    for (uint32_t tried = 0; tried < count; tried++) {
        uint32_t client = end->next_client < count ? end->next_client : 0;
        end->next_client = client;
        if (next_from(end, lanes, client, request)) {
            return true;
        }
        end->next_client = client + 1;
    }
    return false;
}

void client_end_release(struct client_end *end, struct client_lanes *lanes)
{
    for (uint32_t i = 0; i < end->taken_count; i++) {
        uint32_t client = end->taken[i];
        spsc_lane_release(lanes->places[client].to_node[end->node]);
        end->flags[client] &= (uint8_t)~FLAG_TAKEN;
    }
    end->taken_count = 0;
    end->next_client++; /* the next batch begins with somebody else */
}

bool client_end_reply(struct client_end *end, struct client_lanes *lanes, const struct reply *reply)
{
    struct spsc_lane *lane = lanes->places[reply->client].from_node[end->node];
    const struct store_entry *entry = &reply->outcome.entry;
    bool has_value =
        reply->status == REPLY_OUTCOME && reply->outcome.result == STORE_OK && entry->value != NULL;
    size_t value_bytes = has_value ? entry->value_bytes : 0;
    size_t bytes = sizeof(struct reply_frame) + value_bytes;
    if (value_bytes > 0) {
        /* Room for a reply without value to every open request stays reserved. */
        size_t reserve = lanes->in_flight_limit * (8 + sizeof(struct reply_frame));
        if (bytes > spsc_lane_frame_limit(lane) ||
            spsc_lane_room(lane) < spsc_lane_frame_bytes(bytes) + reserve) {
            return false;
        }
    }
    struct reply_frame *frame = spsc_lane_claim(lane, bytes);
    if (frame == NULL) {
        /* Only while requests of handles that closed crowd the lane. Said to be without room, an
         * outcome would be answered by BUSY and done again; lost, it stays unknown. */
        return value_bytes == 0;
    }
    *frame = (struct reply_frame){
        .sequence = reply->sequence,
        .status = (uint8_t)reply->status,
        .result = (uint8_t)reply->outcome.result,
        .has_value = has_value,
        .value_bytes = (uint32_t)value_bytes,
        .slot = entry->modify_slot,
        .version = entry->version,
        .create_slot = entry->create_slot,
    };
    if (value_bytes > 0) {
        memcpy(frame + 1, entry->value, value_bytes);
    }
    if ((end->flags[reply->client] & FLAG_REPLIED) == 0) {
        end->flags[reply->client] |= FLAG_REPLIED;
        end->replied[end->replied_count++] = reply->client;
    }
    return true;
}

uint32_t client_end_publish(struct client_end *end, struct client_lanes *lanes)
{
    for (uint32_t i = 0; i < end->replied_count; i++) {
        spsc_lane_publish(lanes->places[end->replied[i]].from_node[end->node]);
    }
    return end->replied_count;
}

void client_end_ring(struct client_end *end, struct client_lanes *lanes)
{
    for (uint32_t i = 0; i < end->replied_count; i++) {
        uint32_t client = end->replied[i];
        doorbell_ring_fenced(lanes->places[client].bell);
        end->flags[client] &= (uint8_t)~FLAG_REPLIED;
    }
    end->replied_count = 0;
}

bool client_end_has_requests(const struct client_end *end, struct client_lanes *lanes)
{
    uint32_t count = places_made(lanes);
    for (uint32_t client = 0; client < count; client++) {
        if (spsc_lane_has_next(lanes->places[client].to_node[end->node])) {
            return true;
        }
    }
    return false;
}

void client_end_skip_all(const struct client_end *end, struct client_lanes *lanes)
{
    uint32_t count = places_made(lanes);
    for (uint32_t client = 0; client < count; client++) {
        spsc_lane_skip_all(lanes->places[client].to_node[end->node]);
    }
}
