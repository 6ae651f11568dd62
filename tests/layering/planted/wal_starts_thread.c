/* SPDX-License-Identifier: MIT */
/* Planted: threads belong to the cluster. */
#include <pthread.h>

int wal_starts_thread(pthread_t *thread, void *(*run)(void *));
int wal_starts_thread(pthread_t *thread, void *(*run)(void *))
{
    return pthread_create(thread, NULL, run, NULL);
}
