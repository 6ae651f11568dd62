/* SPDX-License-Identifier: MIT */
#include "synod/status.h"

#include "cluster/status.h"

#include <errno.h>

const char *synod_status_name(enum synod_status status)
{
    static const char *const names[] = {
#define STATUS_NAME(name, text) #name,
        SYNOD_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    };
    return (unsigned)status < sizeof names / sizeof names[0] ? names[status] : "?";
}

const char *synod_status_text(enum synod_status status)
{
    static const char *const texts[] = {
#define STATUS_TEXT(name, text) text,
        SYNOD_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    };
    return (unsigned)status < sizeof texts / sizeof texts[0] ? texts[status] : "?";
}

enum synod_status status_from_errno(int error)
{
    switch (error < 0 ? -error : error) {
    case 0:
        return SYNOD_OK;
    case ENOMEM:
        return SYNOD_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
        return SYNOD_NO_SPACE;
    case EBUSY:
        return SYNOD_IN_USE;
    case EBADMSG:
        return SYNOD_CORRUPT;
    case EXDEV:
    case ESTALE:
    case EPROTONOSUPPORT:
        return SYNOD_FOREIGN;
    case EINVAL:
    case ENAMETOOLONG:
        return SYNOD_INVALID;
    default:
        return SYNOD_IO_ERROR;
    }
}
