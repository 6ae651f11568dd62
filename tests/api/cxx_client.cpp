// SPDX-License-Identifier: MIT
// A C++ program links with the library: compiled by headers_link.sh.
#include <synod/synod.h>

int main()
{
    synod_options options;
    synod_options_init(&options);
    options.nodes = 1;
    options.max_value_bytes = 1024;
    options.segment_bytes = 1 << 20;
    options.segment_count = 4;
    synod_cluster *cluster = nullptr;
    if (synod_cluster_open(&options, &cluster, nullptr, 0) != SYNOD_OK) {
        return 1;
    }
    synod_client *client = nullptr;
    if (synod_client_open(cluster, &client) != SYNOD_OK) {
        return 1;
    }
    synod_bytes key = {"k", 1};
    int result = synod_put(client, key, key, 0, nullptr) == SYNOD_OK ? 0 : 1;
    synod_client_close(client);
    synod_cluster_close(cluster);
    return result;
}
