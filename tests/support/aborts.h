/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_ABORTS_H
#define SYNOD_ABORTS_H

/*
 * For contracts whose breach must stop the program: does `act` end its process by SIGABRT? Runs it
 * in a child, whose complaint goes nowhere. Only from a program of one thread.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool aborts(void (*act)(void))
{
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere >= 0)
            dup2(nowhere, STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

#endif
